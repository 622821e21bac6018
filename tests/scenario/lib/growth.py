"""What memcached clients append and prepend to keys of a class that limits its values."""
from lib.memcached import binary


def appends_up_to(case, connect):
    """Of four bytes, with all commands that append or prepend; `connect` gives a session."""
    large = b"SERVER_ERROR object too large for cache\r\n"
    session = connect()
    session.ask("delete small:a")
    case.assertEqual(session.ask("append small:a 0 0 1", b"x"), b"NOT_STORED\r\n")
    case.assertEqual(session.ask("ms small:a 1 MA O7 k", b"x"), b"NS O7 ksmall:a\r\n")
    case.assertEqual(session.ask("append small:a 0 0 5", b"12345"), large)
    for first, tail, verb, meta, opcode in ((b"12", b"34", "append", "MA", 0x0e), (b"34", b"12", "prepend", "MP", 0x0f)):
        for ask, done, refused in ((lambda v: session.ask(f"{verb} small:a 7 0 {len(v)}", v), b"STORED\r\n", large),
                                   (lambda v: session.ask(f"ms small:a {len(v)} {meta} O7 k F3", v), b"HD O7 ksmall:a\r\n", large),
                                   (lambda v: session.ask(f"ms c21hbGw6YQ== {len(v)} b {meta}", v), b"HD\r\n", large)):
            case.assertEqual(session.ask("set small:a 5 0 2", first), b"STORED\r\n")
            case.assertEqual(ask(tail + b"+"), refused)
            case.assertEqual(ask(tail), done)
            case.assertEqual(ask(b"!"), refused)
            case.assertEqual(session.ask("get small:a"), b"VALUE small:a 5 4\r\n1234\r\nEND\r\n")
        session.send(f"{verb} small:a 0 0 1 noreply\r\n!\r\nms small:a 0 {meta} q\r\n\r\nms small:a 1 {meta} q\r\n!\r\nmn\r\n".encode())
        case.assertEqual([session.reply(), session.reply()], [large, b"MN\r\n"])
        with_binary = connect()
        with_binary.send(binary(opcode, b"small:a", b"", b"!"))
        case.assertEqual(with_binary.packet()[1], 3)                     # too large
        with_binary.send(binary(0x11, b"small:a", bytes(8), first))      # quiet set
        with_binary.send(binary(opcode + 11, b"small:a", b"", tail))     # quiet
        with_binary.send(binary(opcode + 11, b"small:a", b"", b"!"))
        case.assertEqual(with_binary.packet()[:2], (opcode + 11, 3))
        with_binary.send(binary(0x00, b"small:a"))
        case.assertEqual(with_binary.packet()[6], b"1234")
        with_binary.end()
    session.ask("set small:a 5 0 2", b"12")
    cas = int(session.ask("mg small:a c").split(b"c")[1])
    case.assertEqual(session.ask(f"ms small:a 1 MA C{cas + 1}", b"3"), b"EX\r\n")
    case.assertEqual(session.ask(f"ms small:a 1 MA C{cas}", b"3"), b"HD\r\n")

"""What random commands of several tests are made of."""


def set_options(random, times, dates):
    """Options of SET, right or wrong."""
    words = []
    for _ in range(random.choice((0, 0, 1, 1, 2, 3))):
        words += random.choice((["NX"], ["XX"], ["GET"], ["KEEPTTL"], ["EX", random.choice(times)], ["PX", "5000000"],
                                ["EXAT", random.choice(dates)], ["PXAT", random.choice(dates) + "000"], ["EX"], ["get"], ["zz"]))
    return words

/* Any bytes as what the other side says, to a prover and to a checker at each step; any bytes as a
 * verifier, which is printed as it was read.  The messages are separated by newlines; the first
 * byte says what is shown to whom. */
#include <stdlib.h>

#include "proxy/wire/scram.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static const uint8_t ENDPOINT[32] = { 7 };

static void must(bool condition)
{
    if (!condition)
        abort();
}

static struct slice next_message(struct slice *in)
{
    const uint8_t *end = in->len == 0 ? NULL : memchr(in->at, '\n', in->len);
    struct slice message = *in;

    if (end != NULL)
        message.len = (size_t)(end - in->at);
    *in = slice_from(*in, end == NULL ? in->len : message.len + 1);
    return message;
}

/* In memory of its own, so that a step beyond it is seen. */
static struct slice copy(struct slice s)
{
    uint8_t *own = malloc(s.len);

    if (s.len > 0)
        memcpy(own, s.at, s.len);
    return slice_of(own, s.len);
}

static void read_verifier(struct slice text)
{
    struct scram_verifier v, again;
    struct buf out = { 0 };

    if (scram_verifier_parse(text, &v) != ERR_NONE)
        return;
    scram_verifier_print(&v, &out);
    must(scram_verifier_parse(buf_all(&out), &again) == ERR_NONE);
    must(scram_verifier_is(&v, &again));
    buf_fini(&out);
}

/* The prover's nonce is put into the challenge where the input says @. */
static void challenge_of(const struct scram_prover *p, struct slice message, struct buf *out)
{
    for (size_t i = 0; i < message.len; i++) {
        if (message.at[i] == '@')
            buf_text(out, p->nonce);
        else
            buf_put(out, &message.at[i], 1);
    }
}

static void prove(struct slice in, enum scram_binding binding)
{
    struct scram_prover p = { .binding = binding, .endpoint = { ENDPOINT, sizeof(ENDPOINT) } };
    struct scram_keys keys;
    struct buf out = { 0 }, challenge = { 0 };
    struct slice end;

    must(scram_prove_first(&p, &out) == ERR_NONE);
    challenge_of(&p, next_message(&in), &challenge);
    if (scram_prove_challenge(&p, buf_all(&challenge)) == ERR_NONE && p.iterations < 4 &&
        scram_keys_derive(next_message(&in), p.salt, p.salt_len, p.iterations, &keys) == ERR_NONE) {
        must(scram_prove_fits(&p, &keys));
        must(scram_prove_final(&p, &keys, &out) == ERR_NONE);
        end = copy(next_message(&in));
        must(scram_prove_end(&p, end) != ERR_NONE);
        must(p.why != NULL);
        free((void *)end.at);
    }
    scram_prover_fini(&p);
    buf_fini(&out);
    buf_fini(&challenge);
}

static void check(struct slice in, bool offered, bool plus)
{
    struct scram_verifier v = { .iterations = 1, .salt_len = 1, .stored_key = { 1 } };
    struct scram_checker c = { .verifier = &v, .is_plus = plus };
    struct scram_keys keys = { 0 };
    struct buf out = { 0 };
    struct slice first = copy(next_message(&in)), final = copy(next_message(&in));

    if (offered || plus)
        c.endpoint = slice_of(ENDPOINT, sizeof(ENDPOINT));
    if (scram_check_first(&c, first, &out) == ERR_NONE) {
        must(out.len > 0 && c.nonce_len > SCRAM_NONCE_BYTES);
        must(scram_check_final(&c, final, &keys, &out) != ERR_NONE);
    }
    must(c.why != NULL);
    free((void *)first.at);
    free((void *) final.at);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    if (size < 1)
        return 0;
    switch (at[0] % 8) {
    case 0:
        read_verifier(slice_of(at + 1, size - 1));
        break;
    case 1:
    case 2:
    case 3:
        prove(slice_of(at + 1, size - 1), at[0] % 8 - 1);
        break;
    default:
        check(slice_of(at + 1, size - 1), at[0] & 1, at[0] & 2);
    }
    return 0;
}

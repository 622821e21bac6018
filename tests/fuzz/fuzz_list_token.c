/* Tokens come from clients: what is taken for one of ours must be one, byte for byte. */
#include <stdlib.h>

#include "shard/list_token.h"

enum { SHARDS = 3 };

static void require(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct slice text = slice_of(at, len);
    struct arena arena = { 0 };
    struct buf again = { 0 };
    struct list_token list;
    struct upload_token upload;

    if (list_token_read(text, 0, &arena, &list) == ERR_NONE) {
        list_token_write(&list, 0, &again);
        require(slice_is(buf_all(&again), text));
    }
    if (upload_token_read(text, 0, SHARDS, &arena, &upload) == ERR_NONE) {
        require(upload.shard < SHARDS);
        buf_clear(&again);
        upload_token_write(&upload, 0, &again);
        require(slice_is(buf_all(&again), text));
    }
    buf_clear(&again);
    if (len > 0 && len <= UPLOAD_TOKEN_ID_BYTES) {
        upload = (struct upload_token){ .epoch = len, .shard = 1, .id = text };
        upload_token_write(&upload, len, &again);
        require(upload_token_read(buf_all(&again), len, 2, &arena, &upload) == ERR_NONE);
        require(slice_is(upload.id, text) && upload.shard == 1);
    }
    buf_fini(&again);
    arena_fini(&arena);
    return 0;
}

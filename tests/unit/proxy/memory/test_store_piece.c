/* The keys of a piece: found again, whatever their number, and empty after each piece. */
#include "proxy/memory/store_piece.h"

#include <stdio.h>

#include "tests/unit/check.h"

static struct store_piece p;

static struct store_key key_of(uint32_t database, const char *name)
{
    return (struct store_key){ database, store_hash(slice_text(name)), slice_text(name) };
}

static void keys_are_found_again(void)
{
    static char names[3000][16];

    for (uint32_t i = 0; i < 3000; i++) {
        struct store_key key;

        snprintf(names[i], sizeof(names[i]), "k%u", i);
        key = key_of(i % 2, names[i]);
        CHECK(store_piece_find(&p, &key) == NULL);
        store_piece_add(&p, &key)->expires_ms = i;
    }
    CHECK_INT(p.count, 3000);
    for (uint32_t i = 0; i < 3000; i++) {
        struct store_key key = key_of(i % 2, names[i]), other = key_of(1 - i % 2, names[i]);

        CHECK_INT(store_piece_add(&p, &key)->expires_ms, i);
        CHECK(store_piece_find(&p, &other) == NULL);
    }
    CHECK_INT(p.count, 3000);
    store_piece_clear(&p);
    CHECK_INT(p.count, 0);
    CHECK(store_piece_find(&p, &(struct store_key){ 0 }) == NULL);
}

/* By the last bits of the hash, which choose the slot, and by all of it. */
static void keys_of_one_slot_are_told_apart(void)
{
    struct store_key one = { 0, 7, slice_text("one") }, two = { 0, 7, slice_text("two") };
    struct store_key three = { 0, 7 + 64, slice_text("one") };

    store_piece_add(&p, &one)->expires_ms = 1;
    store_piece_add(&p, &two)->expires_ms = 2;
    store_piece_add(&p, &three)->expires_ms = 3;
    CHECK_INT(store_piece_find(&p, &one)->expires_ms, 1);
    CHECK_INT(store_piece_find(&p, &two)->expires_ms, 2);
    CHECK_INT(store_piece_find(&p, &three)->expires_ms, 3);
    store_piece_clear(&p);
}

static void values_are_copied_and_counted(void)
{
    struct store_key key = key_of(0, "k");
    struct store_piece_key *k = store_piece_add(&p, &key);
    char text[] = "value";

    CHECK_INT(k->state, STORE_PIECE_UNKNOWN);
    store_piece_set(&p, k, slice_text(text), 5);
    text[0] = 'x';
    CHECK_BYTES(buf_all(&k->value), bytes("value"));
    CHECK_INT(p.held, 5);
    store_piece_set(&p, k, slice_of(k->value.at + 2, 3), 6); /* a part of itself */
    CHECK_BYTES(buf_all(&k->value), bytes("lue"));
    CHECK_INT(p.held, 3);
    CHECK_INT(k->expires_ms, 6);
    store_piece_unset(&p, k, STORE_PIECE_ABSENT);
    CHECK_INT(p.held, 0);
    CHECK_INT(k->state, STORE_PIECE_ABSENT);
    store_piece_clear(&p);
}

static void names_that_came_late_are_copied(void)
{
    char name[] = "late";
    struct store_key key = key_of(0, name), same = key_of(0, "late");

    store_piece_add_copy(&p, &key)->expires_ms = 9;
    name[0] = 'x';
    CHECK_INT(store_piece_find(&p, &same)->expires_ms, 9);
    store_piece_clear(&p);
    CHECK(store_piece_find(&p, &same) == NULL);
}

int main(void)
{
    RUN(keys_are_found_again);
    RUN(keys_of_one_slot_are_told_apart);
    RUN(values_are_copied_and_counted);
    RUN(names_that_came_late_are_copied);
    store_piece_fini(&p);
    return check_report();
}

#include "tests/unit/proxy/blob/folder_stage.h"

static void what_was_put_is_got(void)
{
    struct stage s = stage_fast();

    CHECK_INT(stage_put(&s, bytes("photos/2024/cat.jpg"), bytes("meow")), FOLDER_OK);
    CHECK_BYTES(stage_get(&s, bytes("photos/2024/cat.jpg")), bytes("meow"));
    CHECK(stage_has_file(&s, "bucket/photos+/2024+/cat.jpg"));
    CHECK_INT(stage_put(&s, bytes("photos/2024/cat.jpg"), bytes("purr")), FOLDER_OK);
    CHECK_BYTES(stage_get(&s, bytes("photos/2024/cat.jpg")), bytes("purr"));
    CHECK_BYTES(stage_get(&s, bytes("photos")), bytes("NoSuchKey"));
    CHECK_INT(stage_put(&s, bytes("photos"), bytes("file")), FOLDER_OK);
    CHECK_BYTES(stage_get(&s, bytes("photos")), bytes("file"));
    CHECK_INT(folder_delete(s.folder, B, bytes("photos/2024/cat.jpg"), NULL, NULL), FOLDER_OK);
    CHECK(!stage_has_file(&s, "bucket/photos+"));
    CHECK_BYTES(stage_get(&s, bytes("photos")), bytes("file"));
    stage_end(&s);
}

int main(void)
{
    RUN(what_was_put_is_got);
    return check_report();
}

/* What the console's commands do.  Those that concern more than this worker are a letter that goes
 * around all of them; PAUSE, KILL and WAIT_CLOSE ask again, at each tick, until nothing is left
 * that they wait for.  See console_flow.h. */
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "proxy/core/crew.h"
#include "proxy/sql/console_flow.h"
#include "proxy/sql/halt_flow.h"

static const char *database_of(const struct console_command *command)
{
    return command->has_name ? command->name : NULL;
}

/* ---- what a worker does ---- */

static void kill_client(struct worker *w, struct console_letter *letter)
{
    LIST_EACH (&w->sessions, link) {
        struct session *base = LIST_ITEM(link, struct session, link);
        struct sql_session *s = (struct sql_session *)base;

        if (base->limits->flow != &sql_flow || base->state == SESSION_CLOSING ||
            base->id != letter->command.number || strcmp(sql_side_of(s)->name, letter->pool) != 0)
            continue;
        sql_session_kill(s);
        letter->count++;
        return;
    }
}

static void show(struct sql_side *side, struct console_letter *letter)
{
    if (!console_put_figures(side, letter))
        console_put_rows(side, letter);
}

static void act(struct worker *w, struct console_letter *letter)
{
    struct sql_side *side = sql_side_find(w, letter->pool);
    const char *database = database_of(&letter->command);

    if (side == NULL)
        return;
    switch (letter->command.verb) {
    case CONSOLE_SHOW:
        show(side, letter);
        break;
    case CONSOLE_PAUSE:
    case CONSOLE_KILL:
        if (!letter->polls)
            sql_halt_begin(side, database);
        if (!letter->polls && letter->command.verb == CONSOLE_KILL)
            sql_database_kill(side, database);
        letter->count += sql_database_upstreams(side, database, false);
        break;
    case CONSOLE_RESUME:
        sql_halt_end(side, database);
        break;
    case CONSOLE_RECONNECT:
        sql_database_reconnect(side, database);
        break;
    case CONSOLE_WAIT_CLOSE:
        letter->count += sql_database_upstreams(side, database, true);
        break;
    case CONSOLE_KILL_CLIENT:
        kill_client(w, letter);
        break;
    case CONSOLE_DISABLE:
    case CONSOLE_ENABLE:
        sql_halt_refuse(side, database, letter->command.verb == CONSOLE_DISABLE);
        break;
    default:
        break;
    }
}

/* ---- letters ---- */

static void letter_free(struct console_letter *letter)
{
    buf_fini(&letter->rows);
    free(letter->pool);
    free(letter);
}

static struct sql_console *console_of(struct list *link)
{
    return LIST_ITEM(link, struct sql_console, link);
}

/* NULL: the session is gone, or waits no more. */
static struct sql_console *recall(struct worker *w, const char *pool, uint64_t number)
{
    struct sql_side *side = sql_side_find(w, pool);

    if (side == NULL)
        return NULL;
    LIST_EACH (&side->consoles, link)
        if (console_of(link)->number == number && console_of(link)->session->stage == SQL_CONSOLE)
            return console_of(link);
    return NULL;
}

static void end_wait(struct sql_console *c)
{
    c->waits = c->polls = false;
    c->number = 0;
    list_remove(&c->link);
    if (c->session->base.open_requests > 0)
        session_request_ends(&c->session->base);
    if (c->session->base.state == SESSION_WAITING)
        session_resume(&c->session->base);
    session_recall(&c->session->base);
}

static void answer_rows(struct sql_console *c, struct console_letter *letter)
{
    const struct console_table *t = console_table(letter->table);
    struct pg_report notice = {
        .severity = slice_text("WARNING"),
        .sqlstate = slice_text("54000"),
        .message = slice_text("there are more rows than are shown"),
    };
    struct buf out = { 0 };

    if (c->is_simple)
        console_table_put_columns(t, &c->formats, &out);
    console_table_put_rows(t, buf_all(&letter->rows), &c->formats, &out);
    if (letter->cut)
        pg_put_notice(&out, &notice);
    sql_session_put(c->session, buf_all(&out));
    buf_fini(&out);
    console_complete(c, "SHOW");
}

static bool is_counting(enum console_verb verb)
{
    return verb == CONSOLE_PAUSE || verb == CONSOLE_KILL || verb == CONSOLE_WAIT_CLOSE;
}

static void come_home(struct worker *w, struct console_letter *letter)
{
    struct sql_console *c = recall(w, letter->pool, letter->number);

    if (c == NULL)
        return;
    c->number = 0;
    if (is_counting(letter->command.verb) && letter->count > 0) {
        c->polls = true; /* sql_consoles_tick() asks again */
        worker_be_busy(w);
        return;
    }
    if (letter->command.verb == CONSOLE_SHOW)
        answer_rows(c, letter);
    else if (letter->command.verb == CONSOLE_KILL_CLIENT && letter->count == 0)
        console_error(c, "42704", "SHOW CLIENTS has the ids.", "there is no client %llu",
                      (unsigned long long)letter->command.number);
    else
        console_complete(c, console_command_word(letter->command.verb));
    end_wait(c);
}

static void visit(struct worker *w, void *content);

static void send_on(struct console_letter *letter, uint32_t from, uint32_t count)
{
    if (!crew_send_around(from, count, letter->asker, visit, letter))
        letter_free(letter);
}

static void visit(struct worker *w, void *content)
{
    struct console_letter *letter = content;

    if (w->index == letter->asker) {
        come_home(w, letter);
        letter_free(letter);
        return;
    }
    act(w, letter);
    send_on(letter, w->index + 1, w->count);
}

static void begin_wait(struct sql_console *c)
{
    if (c->waits)
        return;
    c->waits = true;
    list_append(&sql_side_of(c->session)->consoles, &c->link);
    session_request_begins(&c->session->base); /* it is owed an answer */
}

/* A number that no other console of this worker has, nor had. */
static uint64_t next_number(struct sql_console *c)
{
    return c->session->base.id << 24 | (++c->letters & 0xffffff);
}

static void send_letter(struct sql_console *c, bool polls)
{
    struct worker *w = c->session->base.worker;
    struct console_letter *letter = mem_new(sizeof(*letter));

    begin_wait(c);
    c->number = letter->number = next_number(c);
    c->asked_us = worker_now_us(w);
    letter->asker = w->index;
    letter->pool = mem_text(sql_side_of(c->session)->name);
    letter->command = c->command;
    letter->polls = polls;
    if (c->command.verb == CONSOLE_SHOW)
        letter->table = console_table_find(c->command.name);
    act(w, letter);
    if (w->count == 1 ||
        (letter->command.verb == CONSOLE_SHOW && console_table(letter->table)->is_ours)) {
        come_home(w, letter);
        letter_free(letter);
    } else {
        send_on(letter, 0, w->count);
    }
}

void sql_consoles_tick(struct sql_side *side, uint64_t now_us)
{
    LIST_EACH (&side->consoles, link) {
        struct sql_console *c = console_of(link);

        if (c->session->stage != SQL_CONSOLE)
            continue;
        worker_be_busy(side->worker);
        if (c->polls && c->number == 0) {
            send_letter(c, true);
        } else if (c->number != 0 && now_us - c->asked_us > CONSOLE_WAIT_US) {
            console_error(c, "57014", NULL, "not all workers answered in time");
            end_wait(c);
        }
    }
}

/* ---- reload ---- */

struct reload {
    struct crew_reload base; /* first */
    uint64_t number;
    char *pool; /* owned */
};

static void reloaded(struct worker *w, void *content)
{
    struct reload *r = content;
    struct sql_console *c = w == NULL ? NULL : recall(w, r->pool, r->number);

    if (c != NULL) {
        if (r->base.done)
            console_complete(c, "RELOAD");
        else
            console_error(c, "F0000", NULL, "%.*s", (int)r->base.why.len,
                          (const char *)r->base.why.at);
        end_wait(c);
    }
    buf_fini(&r->base.why);
    free(r->pool);
    free(r);
}

static void reload(struct sql_console *c)
{
    struct worker *w = c->session->base.worker;
    struct reload *r = mem_new(sizeof(*r));

    begin_wait(c);
    c->number = r->number = next_number(c);
    c->asked_us = worker_now_us(w);
    r->pool = mem_text(sql_side_of(c->session)->name);
    if (crew_ask_reload(w->index, reloaded, &r->base))
        return;
    buf_text(&r->base.why, "sheaf is shutting down");
    reloaded(w, r);
}

/* ---- commands ---- */

static void put_help(struct sql_console *c)
{
    struct pg_report notice = { .severity = slice_text("NOTICE"),
                                .sqlstate = slice_text("00000"),
                                .message = slice_text("Console usage") };
    struct buf text = { 0 }, out = { 0 };

    buf_text(&text, "\n");
    for (int i = 0; i < CONSOLE_TABLES; i++)
        buf_format(&text, "\tSHOW %s: %s\n", console_table((enum console_table_number)i)->name,
                   console_table((enum console_table_number)i)->text);
    console_command_help(&text);
    notice.detail = buf_all(&text);
    pg_put_notice(&out, &notice);
    sql_session_put(c->session, buf_all(&out));
    buf_fini(&out);
    buf_fini(&text);
    console_complete(c, "SHOW");
}

static bool is_help(const struct console_command *command)
{
    return strcasecmp(command->name, "help") == 0;
}

const struct console_table *console_shows(const struct console_command *command)
{
    enum console_table_number number;

    if (command->verb != CONSOLE_SHOW || is_help(command))
        return NULL;
    number = console_table_find(command->name);
    return number == CONSOLE_TABLES ? NULL : console_table(number);
}

static void run_show(struct sql_console *c)
{
    struct buf names = { 0 };

    if (is_help(&c->command)) {
        put_help(c);
    } else if (console_table_find(c->command.name) != CONSOLE_TABLES) {
        send_letter(c, false);
    } else {
        for (int i = 0; i < CONSOLE_TABLES; i++)
            buf_format(&names, "%s%s", i == 0 ? "" : ", ",
                       console_table((enum console_table_number)i)->name);
        buf_put(&names, "", 1);
        console_error(c, "42704", NULL, "SHOW has no \"%s\"; it has HELP, %s", c->command.name,
                      (const char *)names.at);
        buf_fini(&names);
    }
}

/* Is there such a database, and may this be done to it? */
static bool fits_database(struct sql_console *c)
{
    struct sql_side *side = sql_side_of(c->session);
    const char *database = database_of(&c->command);

    if (database != NULL && sql_console_is(side, database)) {
        console_error(c, "42501", NULL, "\"%s\" is the console, not a database of servers",
                      database);
        return false;
    }
    if (database != NULL && sql_pool_database(side->settings, database) == NULL) {
        console_error(c, "3D000", NULL, "no such database: %s", database);
        return false;
    }
    if (c->command.verb != CONSOLE_RESUME)
        return true;
    if (database == NULL && list_is_empty(&side->halts)) {
        console_error(c, "55000", NULL, "nothing is paused in pool \"%s\"", side->name);
        return false;
    }
    if (database != NULL && sql_halt_stops(side, NULL)) {
        console_error(c, "55000", "RESUME without a name ends it.", "all databases are paused");
        return false;
    }
    if (database != NULL && !sql_halt_stops(side, database)) {
        console_error(c, "55000", NULL, "database %s is not paused", database);
        return false;
    }
    return true;
}

static void note(const struct sql_console *c)
{
    log_event(LOG_INFO, "console command", log_text("pool", sql_side_of(c->session)->name),
              log_text("user", c->user), log_text("command", console_command_word(c->command.verb)),
              log_text("database", c->command.has_name ? c->command.name : ""));
}

/* What drivers say by themselves. */
static void run_driver_words(struct sql_console *c)
{
    const char *tag = console_command_word(c->command.verb);

    switch (c->command.verb) {
    case CONSOLE_START:
        tag = "START TRANSACTION";
        c->in_transaction = true;
        break;
    case CONSOLE_BEGIN:
        c->in_transaction = true;
        break;
    case CONSOLE_END:
        tag = "COMMIT";
        c->in_transaction = false;
        break;
    case CONSOLE_COMMIT:
    case CONSOLE_ROLLBACK:
        c->in_transaction = false;
        break;
    case CONSOLE_DISCARD:
        tag = "DISCARD ALL";
        break;
    default:
        break;
    }
    console_complete(c, tag);
}

void console_run(struct sql_console *c, const struct console_command *command,
                 const struct console_formats *formats)
{
    c->command = *command;
    c->formats = formats == NULL ? (struct console_formats){ 0 } : *formats;
    if (console_command_changes(command->verb))
        note(c);
    switch (command->verb) {
    case CONSOLE_SHOW:
        run_show(c);
        break;
    case CONSOLE_PAUSE:
    case CONSOLE_RESUME:
    case CONSOLE_RECONNECT:
    case CONSOLE_WAIT_CLOSE:
    case CONSOLE_KILL:
    case CONSOLE_DISABLE:
    case CONSOLE_ENABLE:
        if (fits_database(c))
            send_letter(c, false);
        break;
    case CONSOLE_KILL_CLIENT:
        send_letter(c, false);
        break;
    case CONSOLE_RELOAD:
        reload(c);
        break;
    case CONSOLE_SHUTDOWN:
        console_error(c, "0A000", "Send SIGTERM to the process: it drains, then ends.",
                      "the console does not end the process");
        break;
    case CONSOLE_SUSPEND:
        console_error(c, "0A000",
                      "PAUSE lets clients wait; a new process may listen beside this one.",
                      "SUSPEND is not needed here");
        break;
    default:
        run_driver_words(c);
        break;
    }
}

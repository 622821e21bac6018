/* See grammar.h.  The library's objects are linked as replica/grammar.cmake says; its headers can't
 * be used here, for they don't tell that its variables are the thread's own.
 *
 * An ERROR inside jumps to what PG_exception_stack points to, which is always set while it runs; a
 * FATAL or a failed assertion, which would call exit() or abort(), jumps there too. */
#include "replica/grammar.h"

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    LEVEL_NOTHING = 23, /* PANIC: no message below is written anywhere */
    ENCODING_UTF8 = 6,
    FIRST_BLOCK_BYTES = 32 * 1024, /* stays; what most statements need and more */
    LARGEST_BLOCK_BYTES = 1024 * 1024,
};

struct MemoryContextData;
struct ScanKeywordList;

extern __thread sigjmp_buf *PG_exception_stack;
extern __thread void *error_context_stack;
extern __thread struct MemoryContextData *CurrentMemoryContext, *TopMemoryContext, *ErrorContext;
extern __thread bool standard_conforming_strings, escape_string_warning, proc_exit_inprogress;
extern __thread int client_min_messages, log_min_messages;
extern const struct ScanKeywordList ScanKeywords;
extern const uint8_t ScanKeywordCategories[];

struct List *raw_parser(const char *text, int mode);
int ScanKeywordLookup(const char *word, const struct ScanKeywordList *keywords);
void FlushErrorState(void);
void SetDatabaseEncoding(int encoding);
void MemoryContextInit(void);
void MemoryContextReset(struct MemoryContextData *context);
struct MemoryContextData *AllocSetContextCreateInternal(struct MemoryContextData *parent,
                                                        const char *name, size_t least,
                                                        size_t first, size_t largest);
void MemoryContextDelete(struct MemoryContextData *context);
void AllocSetDeleteFreeList(struct MemoryContextData *context);
_Noreturn void grammar_exit(int status);
_Noreturn void grammar_abort(void);

static __thread struct MemoryContextData *trees; /* owned; of TopMemoryContext */

_Noreturn void grammar_abort(void)
{
    if (PG_exception_stack != NULL)
        siglongjmp(*PG_exception_stack, 1);
    fputs("the SQL grammar is at a loss outside of a call\n", stderr);
    abort();
}

_Noreturn void grammar_exit(int status)
{
    (void)status;
    grammar_abort();
}

static void begin_thread(void)
{
    if (trees != NULL)
        return;
    MemoryContextInit();
    SetDatabaseEncoding(ENCODING_UTF8);
    escape_string_warning = false;
    client_min_messages = log_min_messages = LEVEL_NOTHING;
    trees = AllocSetContextCreateInternal(TopMemoryContext, "trees", 0, FIRST_BLOCK_BYTES,
                                          LARGEST_BLOCK_BYTES);
}

bool grammar_parse(const char *text, bool backslash_escapes, const struct List **tree)
{
    sigjmp_buf guard;
    volatile bool is_parsed = false;

    PG_exception_stack = &guard;
    if (sigsetjmp(guard, 0) == 0) {
        begin_thread();
        CurrentMemoryContext = trees;
        standard_conforming_strings = !backslash_escapes;
        *tree = raw_parser(text, 0);
        is_parsed = true;
    } else {
        proc_exit_inprogress = false;
        FlushErrorState();
    }
    PG_exception_stack = NULL;
    error_context_stack = NULL;
    return is_parsed;
}

void grammar_done(void)
{
    if (trees != NULL)
        MemoryContextReset(trees);
}

bool grammar_is_keyword(const char *lower_case_word)
{
    int found = ScanKeywordLookup(lower_case_word, &ScanKeywords);

    return found >= 0 && ScanKeywordCategories[found] != 0;
}

/* The library's own way leaves a pointer to what was freed among its spare contexts, from where the
 * next beginning would take it.  Here the topmost context goes there first, and then they are
 * freed. */
void grammar_forget_thread(void)
{
    struct MemoryContextData *top = TopMemoryContext;

    trees = TopMemoryContext = CurrentMemoryContext = ErrorContext = NULL;
    if (top == NULL)
        return;
    MemoryContextDelete(top);
    AllocSetDeleteFreeList(top);
}

# PostgreSQL's grammar out of libpg_query.a, as one object of which only what replica/grammar.c names
# can be seen: the library's own names (XXH3_64bits, palloc, pg_utf_mblen...) are also those of
# libxxhash and libpq.  It takes along nothing of the library but what the parser itself needs, and
# where that would end the process it calls us.
find_library(PG_QUERY_ARCHIVE libpg_query.a REQUIRED)
find_path(PG_SERVER_INCLUDE nodes/parsenodes.h REQUIRED PATHS
    /usr/include/postgresql/15/server /usr/local/pgsql/include/server /usr/pgsql-15/include/server)

set(grammar_symbols raw_parser standard_conforming_strings escape_string_warning client_min_messages
    log_min_messages PG_exception_stack error_context_stack proc_exit_inprogress FlushErrorState
    MemoryContextInit MemoryContextReset AllocSetContextCreateInternal SetDatabaseEncoding
    CurrentMemoryContext TopMemoryContext ErrorContext MemoryContextDelete AllocSetDeleteFreeList ScanKeywords
    ScanKeywordLookup ScanKeywordCategories)
set(grammar_object ${PROJECT_BINARY_DIR}/generated/grammar.o)
list(TRANSFORM grammar_symbols PREPEND "--undefined=" OUTPUT_VARIABLE grammar_wanted)
list(TRANSFORM grammar_symbols PREPEND "--keep-global-symbol=" OUTPUT_VARIABLE grammar_kept)
# Not lld, which takes no archive alone.
find_program(GRAMMAR_LINKER NAMES ld.bfd ld REQUIRED)
add_custom_command(OUTPUT ${grammar_object}
    COMMAND ${GRAMMAR_LINKER} -r ${grammar_wanted} -o ${grammar_object}.whole ${PG_QUERY_ARCHIVE}
    COMMAND ${CMAKE_OBJCOPY} ${grammar_kept}
        --redefine-sym exit=grammar_exit --redefine-sym abort=grammar_abort
        ${grammar_object}.whole ${grammar_object}
    DEPENDS ${PG_QUERY_ARCHIVE} ${CMAKE_CURRENT_LIST_FILE} VERBATIM)
add_custom_target(sheaf_grammar DEPENDS ${grammar_object})
set_source_files_properties(${grammar_object} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
target_sources(sheaf_all INTERFACE ${grammar_object})
add_dependencies(sheaf_all sheaf_grammar)
target_include_directories(sheaf_replica SYSTEM PRIVATE ${PG_SERVER_INCLUDE})

# Writes PAGE from TEMPLATE, @HELP@ being what `PROGRAM --help` prints.
execute_process(COMMAND ${PROGRAM} --help OUTPUT_VARIABLE HELP RESULT_VARIABLE failed ERROR_VARIABLE reason)
if(failed)
    message(WARNING "${PROGRAM} --help: ${failed}\n${reason}")
endif()
string(REPLACE "\\" "\\(rs" HELP "${HELP}")
string(REPLACE "-" "\\-" HELP "${HELP}")
string(REGEX REPLACE "\n([.'])" "\n\\\\&\\1" HELP "${HELP}")
configure_file(${TEMPLATE} ${PAGE} @ONLY)

# Writes PAGE from TEMPLATE, with what `SHEAF check --document` prints in place of @OPTIONS@.
execute_process(COMMAND ${SHEAF} check --document OUTPUT_VARIABLE OPTIONS RESULT_VARIABLE failed
    ERROR_VARIABLE reason)
if(failed)
    message(WARNING "${SHEAF} check --document: ${failed}\n${reason}")
endif()
# Its text is shown as it stands: troff must not see commands in it.
string(REPLACE "\\" "\\(rs" OPTIONS "${OPTIONS}")
string(REGEX REPLACE "(^|\n)([.'])" "\\1\\\\&\\2" OPTIONS "${OPTIONS}")
string(REPLACE "-" "\\-" OPTIONS "${OPTIONS}")
configure_file(${TEMPLATE} ${PAGE} @ONLY)

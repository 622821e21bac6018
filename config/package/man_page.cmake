# Writes PAGE from TEMPLATE.  @OPTIONS@ becomes what `SHEAF check --document` prints: Markdown tables
# of options, their values, defaults and purposes, here turned into troff.
execute_process(COMMAND ${SHEAF} check --document OUTPUT_VARIABLE OPTIONS RESULT_VARIABLE failed
    ERROR_VARIABLE reason)
if(failed)
    message(WARNING "${SHEAF} check --document: ${failed}\n${reason}")
endif()

set(cell "([^|\n]*)")
string(REPLACE "\\|" "\\(ba" OPTIONS "\n${OPTIONS}")
string(REGEX REPLACE "\\\\([^(])" "\\\\(rs\\1" OPTIONS "${OPTIONS}")
string(REPLACE "-" "\\-" OPTIONS "${OPTIONS}")
string(REGEX REPLACE "\n\\| option [^\n]*\n\\|[^\n]*" "" OPTIONS "${OPTIONS}")
string(REGEX REPLACE "\n### ([^\n]*)" "\n.SS \\1" OPTIONS "${OPTIONS}")
string(REGEX REPLACE "\n\\*\\*([^\n]*)\\*\\*" "\n.PP\n.I \\1" OPTIONS "${OPTIONS}")
string(REGEX REPLACE "\n\\| `([^`|\n]*)` \\|${cell}\\|${cell}\\|${cell}\\|"
    "\n.TP\n.B \\1\n\\\\&\\4.\n.br\nValue:\\2.\nDefault:\\3." OPTIONS "${OPTIONS}")
string(REGEX REPLACE "\nDefault: *\\." "" OPTIONS "${OPTIONS}")
string(REPLACE "\nDefault: may repeat ." "\nMay repeat." OPTIONS "${OPTIONS}")
string(REGEX REPLACE " +\\.\n" ".\n" OPTIONS "${OPTIONS}\n")
string(REGEX REPLACE "\\\\& +" "\\\\&" OPTIONS "${OPTIONS}")
string(REGEX REPLACE "`([^`\n]*)`" "\\\\fB\\1\\\\fP" OPTIONS "${OPTIONS}")
string(REGEX REPLACE "\n\n+" "\n" OPTIONS "${OPTIONS}")
configure_file(${TEMPLATE} ${PAGE} @ONLY)

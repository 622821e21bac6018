# Completion of sheaf's words for bash: commands, their options, files, and the pools of a file.

_sheaf_pools() {
    sed -n 's/^ *\[\(memory\|blob\)  *\([^] ]*\) *\].*/\2/p' "$1" 2>/dev/null
}

_sheaf() {
    local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} place=$COMP_CWORD words=

    if [ "$COMP_CWORD" -eq 1 ]; then
        words="serve check route verify status top --version --help"
    else
        case $command in
            check) words="--document --from-twemproxy --help" ;;
            status) words="--json --help" ;;
            serve | top) words="--help" ;;
            verify)
                words="--json --bucket --prefix --help"
                if [ "$COMP_CWORD" -ge 3 ] && [ -f "${COMP_WORDS[COMP_CWORD - 1]}" ]; then
                    COMPREPLY=($(compgen -W "$(_sheaf_pools "${COMP_WORDS[COMP_CWORD - 1]}")" -- "$word"))
                    return
                fi
                ;;
            route)
                words="--hex --help"
                [ "${COMP_WORDS[2]}" != --hex ] || place=$((place - 1))
                if [ $place -eq 3 ]; then
                    COMPREPLY=($(compgen -W "$(_sheaf_pools "${COMP_WORDS[COMP_CWORD - 1]}")" -- "$word"))
                    return
                fi
                ;;
        esac
    fi
    case $word in
        -*) COMPREPLY=($(compgen -W "$words" -- "$word")) ;;
        *)
            compopt -o filenames 2>/dev/null
            [ "$COMP_CWORD" -eq 1 ] && COMPREPLY=($(compgen -W "$words" -- "$word")) \
                || COMPREPLY=($(compgen -f -- "$word"))
            ;;
    esac
}

complete -F _sheaf sheaf

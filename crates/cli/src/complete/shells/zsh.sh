#compdef tinyd
# zsh completion of tinyd. Put it into a folder of your fpath, as _tinyd:
#   tinyd completion zsh > /usr/local/share/zsh/site-functions/_tinyd
# or source it from ~/.zshrc, behind compinit:
#   source <(tinyd completion zsh)

_tinyd() {
    local files line
    local -a answer offered unfinished
    answer=("${(@f)$("${words[1]}" __complete -- "${(@Q)words[2,CURRENT]}" 2> /dev/null)}")
    files="${answer[-1]}"
    answer[-1]=()
    for line in "${answer[@]}"; do
        case "${line%%$'\t'*}" in
            *[:=]) unfinished+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
            *) offered+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
        esac
    done
    (( ${#offered} )) && _describe -V 'tinyd' offered
    # More of the same word follows.
    (( ${#unfinished} )) && _describe -V 'tinyd' unfinished -S ''
    case "$files" in
        :files) _files ;;
        :folders) _files -/ ;;
    esac
}

# Read as a function of the fpath, it is called at once.
if [[ "${funcstack[1]}" == _tinyd ]]; then
    _tinyd "$@"
else
    compdef _tinyd tinyd
fi

# bash completion of tinyd. Put it where your shell reads it:
#   tinyd completion bash > /usr/share/bash-completion/completions/tinyd
# or, for one user, source it from ~/.bashrc:
#   source <(tinyd completion bash)

_tinyd() {
    local typed="${COMP_LINE:0:COMP_POINT}" files current cut
    local -a words answer
    # Bash parts words at colons and equals signs as well; here they are parted at spaces alone.
    read -ra words <<< "$typed"
    [[ $typed == *[[:space:]] ]] && words+=("")
    current="${words[${#words[@]} - 1]}"
    mapfile -t answer < <("${words[0]}" __complete -- "${words[@]:1}" 2> /dev/null)
    (( ${#answer[@]} )) || return
    files="${answer[${#answer[@]} - 1]}"
    unset "answer[${#answer[@]} - 1]"
    COMPREPLY=("${answer[@]%%$'\t'*}")
    # Bash takes all that it is given for files then, and quotes it so.
    if (( ! ${#COMPREPLY[@]} )); then
        case "$files" in
            :files) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
            :folders) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
        esac
    fi
    # What stands before the last of those signs is not bash's current word.
    cut="${current%"${current##*[:=]}"}"
    COMPREPLY=("${COMPREPLY[@]#"$cut"}")
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[:=] ]] && compopt -o nospace
}

complete -F _tinyd tinyd

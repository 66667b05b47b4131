# fish completion of tinyd:
#   tinyd completion fish > ~/.config/fish/completions/tinyd.fish

function __tinyd_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l answer ($words[1] __complete -- $words[2..-1] 2> /dev/null)
    set -l files $answer[-1]
    set -e answer[-1]
    # What follows the word is shown beside it.
    string join \n -- $answer
    switch $files
        case :files
            __fish_complete_path (commandline -ct)
        case :folders
            __fish_complete_directories (commandline -ct)
    end
end

complete -c tinyd -f -a '(__tinyd_complete)'

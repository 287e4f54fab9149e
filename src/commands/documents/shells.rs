//! What each shell is told: to ask this program. So the scripts stay as they are, whatever verbs there come to be.

use crate::cli::Shell;

pub(super) fn script(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => BASH,
        Shell::Zsh => ZSH,
        Shell::Fish => FISH,
    }
}

const BASH: &str = r#"# bash completion of ncolony
_ncolony() {
    local line kind=nothing current="${COMP_WORDS[COMP_CWORD]}"
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            :*) kind=${line#:} ;;
            *) COMPREPLY+=("$(printf %q "${line%%$'\t'*}")") ;;
        esac
    done < <("$1" __complete bash -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    [[ $current == = ]] && current=
    case $kind in
        files) compopt -o filenames; mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current") ;;
        dirs) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
    esac
}
complete -F _ncolony ncolony
"#;

const ZSH: &str = r#"#compdef ncolony
# zsh completion of ncolony
_ncolony() {
    local line kind=nothing
    local -a found
    while IFS= read -r line; do
        case $line in
            :*) kind=${line#:} ;;
            *) found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
        esac
    done < <("${words[1]}" __complete zsh -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)
    (( ${#found} )) && _describe -t values ncolony found
    case $kind in
        files) _files ;;
        dirs) _files -/ ;;
    esac
}
if [ "$funcstack[1]" = "_ncolony" ]; then _ncolony "$@"; else compdef _ncolony ncolony; fi
"#;

const FISH: &str = r#"# fish completion of ncolony
function __ncolony_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in ($words[1] __complete fish -- $words[2..-1] 2>/dev/null)
        switch $line
            case ':files'
                __fish_complete_path (commandline -ct)
            case ':dirs'
                __fish_complete_directories (commandline -ct)
            case ':*'
            case '*'
                echo -- $line
        end
    end
end
complete -c ncolony -f -a '(__ncolony_complete)'
"#;

//! `completion`: what a shell needs to complete command lines.

use super::{Context, Verb};
use crate::failure::Outcome;

/// Print what makes a shell complete verbs, options, and the names of what there is
#[derive(clap::Parser, Debug)]
#[command(after_help = "\
Examples:
  source <(tinyd completion bash)
  tinyd completion bash > /usr/share/bash-completion/completions/tinyd
  tinyd completion zsh > /usr/local/share/zsh/site-functions/_tinyd
  tinyd completion fish > ~/.config/fish/completions/tinyd.fish")]
pub(crate) struct Completion {
    /// Which one
    #[arg(value_name = "SHELL", value_parser = ["bash", "zsh", "fish"])]
    shell: String,
}

impl Verb for Completion {
    const NAME: &'static str = "completion";

    fn run(self, context: &Context<'_>) -> Outcome {
        let script = match self.shell.as_str() {
            "bash" => include_str!("../complete/shells/bash.sh"),
            "zsh" => include_str!("../complete/shells/zsh.sh"),
            _ => include_str!("../complete/shells/fish.sh"),
        };
        context.console.print(script).map(|()| 0)
    }
}

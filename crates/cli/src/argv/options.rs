//! What the pass must know of the options: read from the parser itself, so that there is one list.

/// The options of a verb.
pub(super) struct Options<'a> {
    command: &'a clap::Command,
}

/// An option that was found.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    /// Its one spelling.
    pub(super) long: &'a str,
    /// A value follows.
    pub(super) takes_value: bool,
}

impl<'a> Options<'a> {
    pub(super) fn new(command: &'a clap::Command) -> Self {
        Self { command }
    }

    /// By long name or alias.
    pub(super) fn long(&self, name: &str) -> Option<Known<'a>> {
        self.find(|option| {
            option.get_long() == Some(name)
                || option.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
        })
    }

    /// By letter.
    pub(super) fn short(&self, letter: char) -> Option<Known<'a>> {
        self.find(|option| {
            option.get_short() == Some(letter)
                || option.get_all_short_aliases().is_some_and(|aliases| aliases.contains(&letter))
        })
    }

    fn find(&self, wanted: impl Fn(&clap::Arg) -> bool) -> Option<Known<'a>> {
        let option = self.command.get_arguments().find(|option| wanted(option))?;
        // A value that may be left away stands behind an equals sign, never in the next word.
        let takes_value = option.get_action().takes_values() && !option.is_require_equals_set();
        Some(Known { long: option.get_long()?, takes_value })
    }
}

//! What a prune spares by its filters, and the removal of the rest one by one.

use crate::cmd::Context;
use crate::failure::{Failure, Outcome, line_of};
use std::collections::BTreeMap;
use tinyd_engine::{Engine, ErrorKind};

/// What something must be, by its labels, to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// It has the label, and that value where one is named.
    With(Label),
    /// It has not.
    Without(Label),
}

/// `NAME` or `NAME=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    name: String,
    value: Option<String>,
}

impl Label {
    pub(crate) fn parse(text: &str) -> Self {
        match text.split_once('=') {
            Some((name, value)) => Self { name: name.to_owned(), value: Some(value.to_owned()) },
            None => Self { name: text.to_owned(), value: None },
        }
    }

    pub(crate) fn is_among(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.get(&self.name).is_some_and(|there| self.value.as_ref().is_none_or(|value| value == there))
    }
}

/// `label=…` or `label!=…`.
pub(crate) fn filter(text: &str) -> Result<Filter, String> {
    let known = "write it like label=stage, label=stage=test or label!=keep";
    // What is removed is not to be chosen by a word that fits nothing.
    let label = |text: &str| Some(Label::parse(text)).filter(|label| !label.name.is_empty()).ok_or(known);
    match (text.strip_prefix("label!="), text.strip_prefix("label=")) {
        (Some(text), _) => Ok(Filter::Without(label(text)?)),
        (None, Some(text)) => Ok(Filter::With(label(text)?)),
        (None, None) => Err(known.to_owned()),
    }
}

/// Whether every filter lets it be removed.
pub(crate) fn all_fit(filters: &[Filter], labels: &BTreeMap<String, String>) -> bool {
    filters.iter().all(|filter| match filter {
        Filter::With(label) => label.is_among(labels),
        Filter::Without(label) => !label.is_among(labels),
    })
}

/// Removes one after the other, and prints what was removed. Goes on past failures, which are told.
pub(crate) fn each(
    context: &Context<'_>,
    names: &[String],
    remove: impl Fn(&dyn Engine, &str) -> tinyd_engine::Result<String>,
) -> Outcome {
    let engine = context.engine()?;
    let mut last = 0;
    for name in names {
        match remove(engine.as_ref(), name) {
            Ok(name) => context.console.line(&name)?,
            // Somebody was faster.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // Somebody uses it now.
            Err(error) if error.kind() == ErrorKind::WrongState => {
                context.console.notes(&[line_of(&error)]);
            }
            Err(error) => {
                context.console.tell(&line_of(&error));
                last = error.exit_code();
            }
        }
    }
    if last == 0 { Ok(0) } else { Err(Failure::Reported(last)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_has_every_label_that_it_must_and_none_that_it_must_not() {
        let labels: BTreeMap<String, String> =
            [("stage", "test"), ("old", "")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        for (filters, fits) in [
            (&[][..], true),
            (&["label=stage"], true),
            (&["label=stage=test", "label=old"], true),
            (&["label=old="], true),
            (&["label=stage=live"], false),
            (&["label=stage", "label=keep"], false),
            (&["label!=keep"], true),
            (&["label!=stage=live"], true),
            (&["label!=stage"], false),
            (&["label!=keep", "label!=old"], false),
            (&["label=stage", "label!=old"], false),
        ] {
            let parsed: Vec<_> = filters.iter().map(|text| filter(text).expect("a filter")).collect();
            assert_eq!(all_fit(&parsed, &labels), fits, "{filters:?}");
        }
        for text in ["", "label", "label=", "label!=", "label==x", "name=x", "until=1h"] {
            assert!(filter(text).is_err_and(|error| error.contains("label!=keep")), "{text}");
        }
    }
}

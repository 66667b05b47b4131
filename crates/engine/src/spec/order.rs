//! What has to be there before a container is started.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Another container that a container needs: each start by somebody, and that at a start of the machine, waits for it. What a
/// policy starts again does not wait.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    /// Its name or id, which is looked up at each start.
    pub container: String,
    /// What is waited for.
    pub condition: AfterCondition,
}

/// What is waited for. What cannot come any more is an error: the other one does not run, is found unhealthy, has failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AfterCondition {
    /// It is healthy, where it has a check; it runs, where it has none.
    #[default]
    Ready,
    /// It runs.
    Started,
    /// Its health check has succeeded.
    Healthy,
    /// Its command has ended, with 0.
    Done,
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let condition = match self.condition {
            AfterCondition::Ready => "",
            AfterCondition::Started => ":started",
            AfterCondition::Healthy => ":healthy",
            AfterCondition::Done => ":done",
        };
        write!(f, "{}{condition}", self.container)
    }
}

/// `db`, `db:started`, `db:healthy`, `db:done`; Compose's words for them as well.
impl FromStr for After {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (container, condition) = match text.split_once(':') {
            None => (text, AfterCondition::Ready),
            Some((container, word)) => {
                let condition = match word {
                    "started" | "service_started" => AfterCondition::Started,
                    "healthy" | "service_healthy" => AfterCondition::Healthy,
                    "done" | "service_completed_successfully" => AfterCondition::Done,
                    _ => return Err("there are started, healthy and done".to_owned()),
                };
                (container, condition)
            }
        };
        match container {
            "" => Err("it does not say after which container".to_owned()),
            name => Ok(Self { container: name.to_owned(), condition }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_condition_has_its_word() {
        let parse = |text: &str| text.parse::<After>();
        for text in ["db", "db:started", "db:healthy", "db:done"] {
            assert_eq!(parse(text).map(|after| after.to_string()), Ok(text.to_owned()));
        }
        assert_eq!(parse("db:service_healthy").map(|after| after.condition), Ok(AfterCondition::Healthy));
        assert!(parse(":done").is_err() && parse("").is_err() && parse("db:soon").is_err());
    }
}

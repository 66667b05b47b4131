//! Sockets that a service manager has opened for us (sd_listen_fds(3)): the command is whom they are for.

use crate::config::Process;

/// How many there are.
pub(crate) const COUNT: &str = "LISTEN_FDS";
/// Whose they are: whoever is another process has inherited the variables, and no sockets.
pub(crate) const WHOSE: &str = "LISTEN_PID";
/// What they are called, with colons between them.
pub(crate) const NAMES: &str = "LISTEN_FDNAMES";

/// Tells the command of those that we were given, and gives their number. They are the descriptors from 3 on.
pub(super) fn hand_over(process: &mut Process) -> u32 {
    let of_ours = |name| std::env::var(name).ok();
    let is_ours = of_ours(WHOSE).and_then(|text| text.parse().ok()) == Some(std::process::id());
    let count = of_ours(COUNT).and_then(|text| text.parse().ok()).filter(|_| is_ours).unwrap_or(0);
    if count > 0 {
        let environment = process.env.get_or_insert_default();
        let told = [
            (COUNT, Some(count.to_string())),
            // It is the first process of its container.
            (WHOSE, Some("1".to_owned())),
            (NAMES, of_ours(NAMES)),
        ];
        for (name, value) in told {
            environment.retain(|entry| entry.split_once('=').is_none_or(|(other, _)| other != name));
            environment.extend(value.map(|value| format!("{name}={value}")));
        }
    }
    count
}

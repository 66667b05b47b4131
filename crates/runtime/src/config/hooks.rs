//! Programs that are run at certain points of a container's life.

use super::read::objects;
use std::path::PathBuf;

objects! {
    /// What is said of none of them is `None`.
    Hooks {
        prestart: Option<Vec<Hook>> = "prestart",
        create_runtime: Option<Vec<Hook>> = "createRuntime",
        create_container: Option<Vec<Hook>> = "createContainer",
        start_container: Option<Vec<Hook>> = "startContainer",
        poststart: Option<Vec<Hook>> = "poststart",
        poststop: Option<Vec<Hook>> = "poststop",
    }

    Hook {
        path: PathBuf = "path",
        args: Option<Vec<String>> = "args",
        env: Option<Vec<String>> = "env",
        /// In seconds.
        timeout: Option<i64> = "timeout",
    }
}

//! Secrets.

use super::messages;

messages! {
    SecretCreate { name, labels }
    SecretSummary { id, name, containers, created, labels }
    SecretInspect { id, created_at, updated_at, spec, containers }
    SecretSpec { name, driver, labels }
    SecretDriver { name }
}

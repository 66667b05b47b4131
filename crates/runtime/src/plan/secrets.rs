//! The secrets of a request, as mounts.

use super::cstrings::c_path;
use super::{MountPlan, MountSource, SecretsPlan};
use crate::{Failure, SecretMount};
use std::path::Path;

pub(super) fn plan(secrets: &[SecretMount]) -> Result<Vec<MountPlan>, Failure> {
    secrets.iter().map(one).collect()
}

fn one(secret: &SecretMount) -> Result<MountPlan, Failure> {
    let (target, files, alone) = match secret {
        SecretMount::Folder { target, files } => (target, files.clone(), None),
        SecretMount::File { target, file } => {
            (target, vec![file.clone()], Some(c_path("secrets", Path::new(&file.name))?))
        }
    };
    let source = MountSource::Secrets(SecretsPlan { files, alone });
    Ok(MountPlan { target: c_path("secrets", target)?, source })
}

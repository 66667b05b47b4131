//! A driver of a third party: the volumes of `template` are folders that begin as a copy of the files of another one.
//!
//! `cargo run -p tinyd-volume --features testing --example plug_in`.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]
#![allow(clippy::disallowed_methods, reason = "the folders are its own, and nothing is mounted in them")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tinyd_volume::{Error, Result, VolumeDriver, VolumeInfo, VolumeSpec, VolumeState};

struct Template {
    files: PathBuf,
    volumes: PathBuf,
}

fn at(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Path { operation, path, source }
}

impl VolumeDriver for Template {
    fn name(&self) -> &str {
        "template"
    }

    fn validate(&self, wanted: &VolumeSpec) -> Result<()> {
        let refuse = |what, value: &str, problem: &'static str| {
            Err(Error::Invalid { what, value: value.to_owned(), problem: problem.into() })
        };
        match wanted.options.keys().next() {
            Some(option) => refuse("volume option", option, "is unknown: this driver has none"),
            None if wanted.name.is_empty() || wanted.name.contains(['/', '.']) => {
                refuse("volume name", &wanted.name, "must be a word")
            }
            None => Ok(()),
        }
    }

    fn create(&self, wanted: &VolumeSpec) -> Result<VolumeState> {
        self.validate(wanted)?;
        let path = self.volumes.join(&wanted.name);
        fs::create_dir(&path).map_err(at("make", &path))?;
        let copy = || -> io::Result<()> {
            for file in fs::read_dir(&self.files)? {
                let file = file?;
                fs::copy(file.path(), path.join(file.file_name()))?;
            }
            Ok(())
        };
        if let Err(source) = copy() {
            // All or nothing.
            fs::remove_dir_all(&path).map_err(at("remove", &path))?;
            return Err(at("fill", &path)(source));
        }
        let (driver, name) = (self.name().to_owned(), wanted.name.clone());
        Ok(VolumeState { driver, name, made: vec![path.clone()], path, options: wanted.options.clone() })
    }

    fn inspect(&self, volume: &VolumeState) -> Result<VolumeInfo> {
        volume.expect_driver(self.name())?;
        Ok(VolumeInfo { available: volume.path.is_dir(), is_folder: true })
    }

    fn list(&self) -> Result<Vec<VolumeState>> {
        let entries = fs::read_dir(&self.volumes).map_err(at("list", &self.volumes))?;
        let paths = entries.flatten().map(|entry| entry.path());
        let state = |path: PathBuf| VolumeState {
            driver: self.name().to_owned(),
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            made: vec![path.clone()],
            path,
            options: Default::default(),
        };
        Ok(paths.map(state).collect())
    }

    fn mount(&self, volume: &VolumeState, _: &str) -> Result<PathBuf> {
        volume.expect_driver(self.name()).map(|()| volume.path.clone())
    }

    fn unmount(&self, volume: &VolumeState, _: &str) -> Result<()> {
        volume.expect_driver(self.name())
    }

    fn remove(&self, volume: &VolumeState) -> Result<()> {
        volume.expect_driver(self.name())?;
        match fs::remove_dir_all(&volume.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at("remove", &volume.path)(error)),
            _ => Ok(()),
        }
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let place = std::env::temp_dir().join(format!("tinyd-volume-example-{}", std::process::id()));
    let driver = Template { files: place.join("files"), volumes: place.join("volumes") };
    for folder in [&driver.files, &driver.volumes] {
        fs::create_dir_all(folder)?;
    }
    fs::write(driver.files.join("greeting"), "hello")?;

    let wanted = VolumeSpec::named("v1");
    #[cfg(feature = "testing")]
    tinyd_volume::testing::conformance(
        &|| Box::new(Template { files: place.join("files"), volumes: place.join("volumes") }),
        &wanted,
    );
    let volume = driver.create(&wanted)?;
    let path = driver.mount(&volume, "container-1")?;
    println!("{} volume, which holds {:?}", driver.list()?.len(), fs::read_to_string(path.join("greeting"))?);
    driver.unmount(&volume, "container-1")?;
    driver.remove(&volume)?;
    fs::remove_dir_all(&place)?;
    Ok(())
}

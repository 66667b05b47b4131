//! The only place that names a concrete engine: that of a daemon, or that of this process.

use crate::globals::Globals;
use crate::settings::{Told, schema};
use std::path::Path;
use std::path::PathBuf;
use tinyd_api::{Address, Client, Tls};
use tinyd_engine::{Engine, Error, ErrorKind};
use tinyd_manager::{AddressPool, EngineBuilder, LocalEngine};

/// The word for the engine of this process, though a daemon listens.
const LOCAL: &str = "local";

/// Opens the engine that was asked for. Where none was: that of the daemon that listens in these folders, and without one that
/// of this process. Both see the same containers.
pub(crate) fn open(globals: &Globals) -> tinyd_engine::Result<Box<dyn Engine>> {
    let client = match globals.host.as_deref() {
        Some(LOCAL) => None,
        Some(host) => {
            let address = host.parse::<Address>()?;
            if let Some(option) = globals.of_engine {
                return Err(not_of_a_client(option, &address));
            }
            let proof = globals.settings.get(&schema::CERT_PATH);
            let tls = proof.map(|folder| Tls::in_folder(&folder.text));
            Some(Client::connect(&address, tls.as_ref())?)
        }
        None => {
            let socket = socket(globals);
            let client = Client::connect_if_any(&socket)?;
            if let (Some(_), Some(option)) = (&client, globals.of_engine) {
                return Err(not_of_a_client(option, &Address::Unix(socket)));
            }
            client
        }
    };
    match client {
        Some(client) => Ok(Box::new(client)),
        None => Ok(Box::new(wanted(globals)?.open()?)),
    }
}

/// What says how an engine works, and was said to one that works already.
fn not_of_a_client(option: &str, address: &Address) -> Error {
    let why = format!("{option} is for an engine, and the daemon at {address} has its own already");
    let hint = format!("give {option} to tinyd daemon, or ask the engine of this process by --host {LOCAL}");
    Error::new(ErrorKind::InvalidInput, why).with_hint(hint)
}

/// Where the daemon of these folders listens.
pub(crate) fn socket(globals: &Globals) -> PathBuf {
    globals.run_root.join("tinyd.sock")
}

/// Opens the engine of a daemon.
pub(crate) fn open_lasting(globals: &Globals) -> tinyd_engine::Result<LocalEngine> {
    wanted(globals)?.lasting().open()
}

/// The engine that runs containers in this process.
fn wanted(globals: &Globals) -> tinyd_engine::Result<EngineBuilder> {
    let most = globals.max_containers.as_deref().map(places).transpose()?.flatten();
    let wanted = LocalEngine::builder().root(&globals.root).run_root(&globals.run_root);
    let pools = globals.settings.get(&schema::ADDRESS_POOLS).map(pools).transpose()?;
    let wanted = wanted.address_pools(pools);
    let wanted = clean_up(wanted, globals);
    Ok(wanted.runtime(globals.runtime.clone()).max_containers(most))
}

/// What a monitor runs to start a container again: this program, in the same places.
fn clean_up(wanted: EngineBuilder, globals: &Globals) -> EngineBuilder {
    // A program whose file is gone leaves it to the next command.
    let Some(program) = std::env::current_exe().ok().filter(|program| program.exists()) else {
        return wanted;
    };
    // The monitor's folder is another one.
    let file =
        |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
    // What is no path is looked for.
    let path = |path: &Path| match path.components().count() > 1 || path.is_absolute() {
        true => file(path),
        false => path.display().to_string(),
    };
    let mut words = vec!["--root".to_owned(), path(&globals.root)];
    words.extend(["--run-root".to_owned(), path(&globals.run_root)]);
    words.extend(globals.runtime.iter().flat_map(|runtime| ["--runtime".to_owned(), path(runtime)]));
    words.extend(globals.settings.file.iter().flat_map(|path| ["--config".to_owned(), file(path)]));
    // A daemon, if there is one, need not be there for that, nor wait for it.
    words.extend(["--host", LOCAL, "system", "restart-due"].map(str::to_owned));
    // Its own settings, and where it finds the programs that mount and connect for it.
    let is_ours = |name: &str| name == "PATH" || name.starts_with("TINYD_");
    let variables = std::env::vars_os().filter_map(|(name, value)| {
        Some((name.into_string().ok().filter(|name| is_ours(name))?, value.into_string().ok()?))
    });
    wanted.clean_up(program, words, variables)
}

/// How many containers there may be; what is not above zero is the engine's default.
fn places(text: &str) -> tinyd_engine::Result<Option<u32>> {
    let number = text.trim().parse::<i64>().map_err(|_| {
        Error::new(ErrorKind::InvalidInput, format!("the number of containers {text:?} is no whole number"))
            .with_hint("it is what --max-containers, $TINYD_MAX_CONTAINERS or max_containers in the configuration says")
    })?;
    Ok(u32::try_from(number.min(u32::MAX.into())).ok().filter(|most| *most > 0))
}

/// Where networks get their ranges from.
fn pools(told: &Told) -> tinyd_engine::Result<Vec<AddressPool>> {
    let read = |word: &str| {
        let pool = word.parse::<AddressPool>();
        pool.map_err(|error| {
            Error::new(ErrorKind::InvalidInput, error.to_string())
                .with_hint(format!("it is what {} says", told.source))
        })
    };
    told.parts().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Source;

    #[test]
    fn a_limit_that_is_none_is_the_default() {
        for (text, most) in [("2", Some(2)), ("0", None), ("-1", None), ("99999999999", Some(u32::MAX))] {
            assert_eq!(places(text), Ok(most), "{text}");
        }
        let told =
            |text: &str| Told { text: text.to_owned(), source: Source::Variable("TINYD_ADDRESS_POOLS") };
        assert_eq!(pools(&told("10.0.0.0/9:24, 172.30.0.0/16:26")).map(|all| all.len()), Ok(2));
        assert!(
            pools(&told("10.0.0.0/9"))
                .is_err_and(|error| error.hint().is_some_and(|hint| hint.contains("TINYD_ADDRESS_POOLS")))
        );
        assert!(places("many").is_err_and(|error| error.to_string().contains("many")));
    }
}

//! The only place that names a concrete engine: that of a daemon, or that of this process.

use crate::globals::Globals;
use std::os::unix::net::UnixStream;
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
    let address = match globals.host.as_deref() {
        Some(LOCAL) => None,
        Some(host) => Some(host.parse::<Address>()?),
        None => listening(globals).map(Address::Unix),
    };
    match address {
        Some(address) => {
            if let Some(option) = globals.of_engine {
                return Err(not_of_a_client(option, &address));
            }
            let tls = globals.cert_path.as_ref().map(Tls::in_folder);
            Ok(Box::new(Client::connect(&address, tls.as_ref())?))
        }
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

/// That socket, where somebody listens on it: one that was killed left his there.
fn listening(globals: &Globals) -> Option<PathBuf> {
    let socket = socket(globals);
    UnixStream::connect(&socket).is_ok().then_some(socket)
}

/// Opens the engine of a daemon.
pub(crate) fn open_lasting(globals: &Globals) -> tinyd_engine::Result<LocalEngine> {
    wanted(globals)?.lasting().open()
}

/// The engine that runs containers in this process.
fn wanted(globals: &Globals) -> tinyd_engine::Result<EngineBuilder> {
    let most = globals.max_containers.as_deref().map(places).transpose()?.flatten();
    let wanted = LocalEngine::builder().root(&globals.root).run_root(&globals.run_root);
    let pools = globals.address_pools.as_deref().map(pools).transpose()?;
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
    let path = |path: &Path| path.display().to_string();
    let mut words = vec!["--root".to_owned(), path(&globals.root)];
    words.extend(["--run-root".to_owned(), path(&globals.run_root)]);
    words.extend(globals.runtime.iter().flat_map(|runtime| ["--runtime".to_owned(), path(runtime)]));
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
            .with_hint("it is what --max-containers or TINYD_MAX_CONTAINERS says")
    })?;
    Ok(u32::try_from(number.min(u32::MAX.into())).ok().filter(|most| *most > 0))
}

/// Where networks get their ranges from: pools with commas or spaces between them.
fn pools(text: &str) -> tinyd_engine::Result<Vec<AddressPool>> {
    let words = text.split([',', ' ']).filter(|word| !word.is_empty());
    let read = |word: &str| {
        let pool = word.parse::<AddressPool>();
        pool.map_err(|error| {
            Error::new(ErrorKind::InvalidInput, error.to_string())
                .with_hint("it is what TINYD_ADDRESS_POOLS says")
        })
    };
    words.map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_none_is_the_default() {
        for (text, most) in [("2", Some(2)), ("0", None), ("-1", None), ("99999999999", Some(u32::MAX))] {
            assert_eq!(places(text), Ok(most), "{text}");
        }
        assert_eq!(pools("10.0.0.0/9:24, 172.30.0.0/16:26").map(|all| all.len()), Ok(2));
        assert!(
            pools("10.0.0.0/9")
                .is_err_and(|error| error.hint().is_some_and(|hint| hint.contains("TINYD_ADDRESS_POOLS")))
        );
        assert!(places("many").is_err_and(|error| error.to_string().contains("many")));
    }
}

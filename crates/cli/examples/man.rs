//! Writes the manual pages, one for each command, made from what the program parses by.
//!
//! ```sh
//! cargo run -p tinyd --example man -- target/man && man -l target/man/tinyd-run.1
//! ```

use clap_mangen::Man;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> io::Result<ExitCode> {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        writeln!(io::stderr(), "usage: man FOLDER")?;
        return Ok(ExitCode::from(2));
    };
    write_all(&folder).map(|()| ExitCode::SUCCESS)
}

fn write_all(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut command = tinyd::command().disable_help_subcommand(true);
    // From here on each knows its whole name.
    command.build();
    write(&command, folder)
}

/// The page of a command, and those of the commands below it.
fn write(command: &clap::Command, folder: &Path) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let page = Man::new(command.clone())
        .title(name.to_uppercase())
        .source(concat!("tinyd ", env!("CARGO_PKG_VERSION")))
        .manual("tinyd");
    page.generate_to(folder)?;
    command.get_subcommands().filter(|below| !below.is_hide_set()).try_for_each(|below| write(below, folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn each_command_has_a_page_that_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        write_all(dir.path()).unwrap();
        for verb in tinyd::command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let page = std::fs::read_to_string(dir.path().join(format!("tinyd-{}.1", verb.get_name())));
            let page = page.unwrap_or_else(|error| panic!("{}: {error}", verb.get_name()));
            assert!(page.contains("Examples:"), "{}", verb.get_name());
        }
        assert!(dir.path().join("tinyd-volume-snapshot-create.1").is_file());
        let pages: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|page| page.unwrap().path()).collect();
        let read = Command::new("mandoc").args(["-Tlint", "-Werror"]).args(&pages).output();
        match read {
            Ok(read) => assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stdout)),
            // Where the tests count it is installed.
            Err(error) => assert!(std::env::var_os("CI").is_none(), "mandoc: {error}"),
        }
    }
}

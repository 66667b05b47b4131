//! `cp`: files between a container and this machine, or two containers.
//!
//! Both sides speak tar: whoever has the files packs them, whoever gets them unpacks them, at the same time. Which file goes
//! where is decided before ([`plan()`]).

mod links;
mod local;
mod pipe;
mod plan;

use super::{Context, Verb};
use crate::failure::{Failure, Outcome};
use crate::flow::{Flowed, Progress};
use pipe::piped;
use plan::{Kind, Source, There, plan};
use std::os::fd::OwnedFd;
use tinyd_engine::{CopyIn, CopyOut, Engine, FileKind, FileStat};

/// Copy files between a container, running or not, and this machine, or between two containers
#[derive(clap::Parser, Debug)]
#[command(
    long_about = "Copy files between a container, running or not, and this machine, or between two containers.\n\n\
        A folder is copied with all that is in it: into DEST where that is a folder, else as DEST. SOURCE/. is what is in a \
        folder, without itself. What is replaced are files, never folders; where DEST is a link, the file that it leads to, and by \
        a link the link. With - as one side it is a tar archive.\n\n\
        Paths of a container begin at its root. A local path with a colon in it is written with ./ or / before it.",
    after_help = "\
Examples:
  tinyd cp c1:/etc/nginx ./nginx
  tinyd cp site/. c1:/var/www
  tinyd cp c1:/var/log - | tar tv
  tinyd cp -a backup.d c2:/srv
  tinyd cp c1:/data c2:/"
)]
pub(crate) struct Copy {
    /// Keep owners, set-id bits and capabilities; else files belong to who gets them: root inside, or you
    #[arg(short, long)]
    archive: bool,
    /// Follow a link at the end of SOURCE
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Show no progress, and say nothing of what is not as it was
    #[arg(short, long)]
    quiet: bool,
    /// CONTAINER:PATH, a local path, or - for a tar archive from standard input
    #[arg(value_name = "SOURCE", allow_hyphen_values = true)]
    source: String,
    /// CONTAINER:PATH, a local path, or - for a tar archive to standard output
    #[arg(value_name = "DEST", allow_hyphen_values = true)]
    dest: String,
}

/// One side of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side<'a> {
    Inside { container: &'a str, path: &'a str },
    Local(&'a str),
    Stream,
}

impl<'a> Side<'a> {
    fn parse(text: &'a str) -> Result<Self, Failure> {
        if text == "-" {
            return Ok(Self::Stream);
        }
        if text.is_empty() {
            return Err(Failure::Usage("a path is empty".to_owned()));
        }
        match text.split_once(':') {
            Some((container, path)) if !text.starts_with(['/', '.']) && !container.contains('/') => {
                match path.is_empty() || container.is_empty() {
                    true => {
                        Err(Failure::Usage(format!("{text:?} needs a container and a path: c1:/etc/hosts")))
                    }
                    false => Ok(Self::Inside { container, path }),
                }
            }
            _ => Ok(Self::Local(text)),
        }
    }
}

impl Verb for Copy {
    const NAME: &'static str = "cp";

    fn run(self, context: &Context<'_>) -> Outcome {
        let (source, dest) = (Side::parse(&self.source)?, Side::parse(&self.dest)?);
        if !matches!(source, Side::Inside { .. }) && !matches!(dest, Side::Inside { .. }) {
            return Err(Failure::Usage(
                "neither side is in a container: one must be CONTAINER:PATH, such as c1:/etc/hosts"
                    .to_owned(),
            ));
        }
        let engine = context.engine()?;
        match self.copy(engine.as_ref(), context, source, dest)? {
            Flowed::Done(notes) if !self.quiet => context.console.notes(&notes),
            Flowed::Done(_) => {}
            Flowed::CutOff(code) => return Ok(code),
        }
        Ok(0)
    }
}

impl Copy {
    /// Copies, and gives the remarks of both sides.
    fn copy(
        &self,
        engine: &dyn Engine,
        context: &Context<'_>,
        source: Side<'_>,
        dest: Side<'_>,
    ) -> Result<Flowed<Vec<String>>, Failure> {
        let dest_path = match dest {
            Side::Inside { path, .. } => path,
            _ => &self.dest,
        };
        match (source, dest) {
            (Side::Stream, dest) => {
                let from = context.console.stdin.try_clone_to_owned();
                let from = from.map_err(|error| Failure::failed("read the standard input", error))?;
                // Whoever made the archive said whose the files are.
                unpack(engine, dest, dest_path, true, from).map(Flowed::Done)
            }
            (source, Side::Stream) => {
                if context.console.is_terminal() {
                    return Err(Failure::Usage(
                        "an archive is nothing for a terminal: name a path, or a pipe".into(),
                    ));
                }
                let to = context.console.stdout.try_clone_to_owned();
                let to = to.map_err(|error| Failure::failed("write the standard output", error))?;
                self.pack(engine, source, None, to).map(Flowed::Done)
            }
            (source, dest) => {
                let what = self.look_at_source(engine, source)?;
                let plan = plan(&what, dest_path, |path| there(engine, dest, path))?;
                piped(
                    Progress::wanted(context.console, self.quiet, "copied", None),
                    |to| self.pack(engine, source, plan.name, to),
                    |from| unpack(engine, dest, &plan.folder, self.archive, from),
                )
            }
        }
    }

    fn look_at_source(&self, engine: &dyn Engine, source: Side<'_>) -> Result<Source, Failure> {
        let text = match source {
            Side::Inside { path, .. } => path,
            _ => &self.source,
        };
        let what = Source::parse(text);
        match look(engine, source, text, self.follow_link || what.folder)? {
            Some(kind) => Ok(Source { kind, ..what }),
            None => Err(Failure::Failed(format!("there is no {}", self.source))),
        }
    }

    fn pack(
        &self,
        engine: &dyn Engine,
        source: Side<'_>,
        name: Option<String>,
        to: OwnedFd,
    ) -> Result<Vec<String>, Failure> {
        match source {
            Side::Inside { container, path } => {
                let request = CopyOut { path: path.to_owned(), follow: self.follow_link, name };
                Ok(engine.copy_out(container, &request, to)?.notes)
            }
            _ => local::pack(&self.source, self.follow_link, name.as_deref(), to),
        }
    }
}

fn unpack(
    engine: &dyn Engine,
    dest: Side<'_>,
    folder: &str,
    keep_owners: bool,
    from: OwnedFd,
) -> Result<Vec<String>, Failure> {
    match dest {
        Side::Inside { container, .. } => {
            let request = CopyIn { path: folder.to_owned(), keep_owners };
            Ok(engine.copy_in(container, &request, from)?.notes)
        }
        _ => local::unpack(folder, keep_owners, from),
    }
}

/// What a path is; nothing where there is nothing.
fn look(engine: &dyn Engine, side: Side<'_>, path: &str, follow: bool) -> Result<Option<Kind>, Failure> {
    let Side::Inside { container, .. } = side else { return local::look(path, follow) };
    Ok(engine.stat(container, path, follow)?.map(|stat| kind(&stat)))
}

/// What there is at a path that something is copied to, and where it leads.
fn there(engine: &dyn Engine, side: Side<'_>, path: &str) -> Result<There, Failure> {
    let Side::Inside { container, .. } = side else { return local::there(path) };
    // A `/` at its end would lead on from a link.
    let itself = Some(path.trim_end_matches('/')).filter(|itself| !itself.is_empty()).unwrap_or(path);
    let found = engine.stat(container, itself, false)?;
    if found.as_ref().is_none_or(|stat| stat.kind != FileKind::Symlink) {
        return Ok(There { kind: found.as_ref().map(kind), path: path.to_owned() });
    }
    let kind = look(engine, side, path, true)?;
    if kind == Some(Kind::Folder) {
        return Ok(There { kind, path: path.to_owned() });
    }
    let target = |path: &str| Ok(engine.stat(container, path, false)?.and_then(|stat| stat.target));
    Ok(There { kind, path: links::end_of(path, target)? })
}

fn kind(stat: &FileStat) -> Kind {
    match stat.kind {
        FileKind::Folder => Kind::Folder,
        FileKind::Symlink => Kind::Link,
        FileKind::File | FileKind::Other => Kind::Other,
    }
}

#[cfg(test)]
mod tests;

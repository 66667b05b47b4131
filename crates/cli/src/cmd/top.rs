//! `top`: the processes of a container.

mod columns;
mod ps;

use super::{Context, Verb};
use crate::argv::Form;
use crate::failure::{Failure, Outcome};
use crate::format::{ListFormat, escape, table, template};
use columns::Column;
use serde_json::{Map, Value};
use tinyd_engine::Process;

/// List the processes of a container
#[derive(clap::Parser, Debug)]
#[command(
    override_usage = "tinyd top [OPTIONS] CONTAINER [PS OPTIONS]",
    long_about = "List the processes of a container, as the kernel tells of them: nothing is executed in the container, which \
        needs no ps. Behind the container stand options as ps(1) has them: -ef (the default), aux, or -o with columns: uid user \
        huid pid cpid ppid c pcpu stime start etime tty time stat ni nlwp vsz rss comm args. PID is the number on the host, CPID \
        that inside; UID is the number inside, HUID that on the host.",
    after_help = "\
Examples:
  tinyd top c1
  tinyd top c1 aux
  tinyd top c1 -o pid,cpid,user,args
  tinyd top --format json c1"
)]
pub(crate) struct Top {
    /// table, json (an object a line), a template such as '{{.pid}} {{.comm}}', or 'table TEMPLATE'
    #[arg(long, value_name = "FORMAT", value_parser = ListFormat::parse, default_value = "table")]
    format: ListFormat,
    /// Id, name or beginning of an id, and options of ps
    #[arg(value_name = "CONTAINER", hide = true)]
    words: Vec<String>,
}

impl Verb for Top {
    const NAME: &'static str = "top";
    const FORM: Form = Form::Command;

    fn run(self, context: &Context<'_>) -> Outcome {
        let mut words = self.words.into_iter();
        let container = words.next().ok_or_else(|| Failure::Usage("no container given".to_owned()))?;
        let options: Vec<String> = words.collect();
        let columns = ps::columns(&options).map_err(Failure::Usage)?;
        let processes = context.engine()?.top(&container)?;
        let text = shown(&self.format, &columns, &processes)?;
        context.console.print(&text).map(|()| 0)
    }
}

fn shown(format: &ListFormat, columns: &[&Column], processes: &[Process]) -> Result<String, Failure> {
    let objects = processes.iter().map(|process| object(columns, process));
    let mut lines = Vec::with_capacity(processes.len() + 1);
    match format {
        ListFormat::Table => {
            // What ends a cell must not come of a process.
            let row = |cells: Vec<String>| {
                let cells: Vec<_> = cells.iter().map(|cell| escape::controls(cell)).collect();
                cells.join("\t")
            };
            lines.push(row(columns.iter().map(|column| column.heading.to_owned()).collect()));
            let cells = |process| columns.iter().map(|column| text(&(column.value)(process))).collect();
            lines.extend(processes.iter().map(|process| row(cells(process))));
            return Ok(table::aligned(&lines));
        }
        ListFormat::Json => lines.extend(objects.map(|object| object.to_string())),
        ListFormat::Template(template) => {
            for object in objects {
                lines.push(escape::controls(&template::render(template, &object)?).into_owned());
            }
        }
        ListFormat::TableTemplate(template) => {
            lines.push(
                template.map_fields(|word| columns::find(word).map_or("", |one| one.heading).to_owned()),
            );
            for object in objects {
                lines.push(template::render(template, &object)?);
            }
            return Ok(table::aligned(&lines));
        }
    }
    Ok(lines.into_iter().map(|line| line + "\n").collect())
}

/// A process for programs: the columns by their words, and all others too where a template may want them.
fn object(columns: &[&Column], process: &Process) -> Value {
    let all = columns.iter().copied().chain(columns::ALL);
    let mut object = Map::new();
    for column in all {
        object.entry(column.word).or_insert_with(|| (column.value)(process));
    }
    Value::Object(object)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests;

//! `selftest`: whether limits hold on this machine.

use super::{Context, Verb};
use crate::failure::{Failure, Outcome};
use crate::format::table::{Column, Table};
use crate::format::{ObjectFormat, escape, template};
use crate::interrupt::Interrupt;
use tinyd_manager::{Case, MEMORY_TOLERANCE_PERCENT, PROCESSOR_TOLERANCE_PERCENT, SelfTest, selftest};

/// Test whether limits of memory and processor time hold on this machine; exit with 1 when one does not
#[derive(clap::Parser, Debug)]
#[command(
    name = "selftest",
    long_about = "Test whether limits of memory and processor time hold on this machine.\n\n\
        Six containers are started: C1MEM, C2MEM and C3MEM may use a sixteenth, an eighth and a quarter of the machine's \
        memory, C1CPU, C2CPU and C3CPU 6250, 12500 and 25000 of each 100000 microseconds of a processor. What the kernel's \
        files say of them is compared with that; then each takes all that it gets, and what it got is measured. Processor \
        time may be 20 percent of the quota beside it, the peak of memory 2 percent of the limit. Nothing of the containers \
        is left. The exit code is 0 when every limit held, and 1 otherwise.",
    after_help = "\
Examples:
  tinyd selftest
  tinyd selftest --format json
  tinyd selftest -f '{{.Passed}}'"
)]
pub(crate) struct Test {
    /// json, or a template such as '{{.Passed}}'
    #[arg(short, long, value_name = "FORMAT", value_parser = ObjectFormat::parse)]
    format: Option<ObjectFormat>,
}

const COLUMNS: &[Column] = &[
    Column::fixed("NAME"),
    Column::fixed("LIMIT"),
    Column::fixed("KERNEL"),
    Column::fixed("MEASURED"),
    Column::fixed("RESULT"),
    Column::flexible("PROBLEM"),
];

impl Verb for Test {
    const NAME: &'static str = "selftest";

    fn run(self, context: &Context<'_>) -> Outcome {
        let engine = context.engine()?;
        let interrupt = Interrupt::catch().map_err(|error| Failure::failed("catch signals", error))?;
        let watched = rustix::termios::isatty(context.console.stderr);
        let mut step = |text: &str| {
            if watched {
                context.console.tell(text);
            }
        };
        let Some(found) = selftest(engine.as_ref(), Some(interrupt.as_fd()), &mut step)? else {
            context.console.tell("the test was called off; nothing of it is left");
            return Ok(interrupt.exit_code());
        };
        let unwritten = |error| Failure::failed("write the answer as JSON", error);
        let console = context.console;
        let text = match self.format {
            None => {
                let mut table = Table::new(COLUMNS);
                found.cases.iter().for_each(|case| table.push(&cells(case)));
                let width = console.window().filter(|_| console.is_terminal());
                summary(&found) + &table.render(width.map(|size| size.columns.into()))
            }
            Some(ObjectFormat::Json) => serde_json::to_string(&found).map_err(unwritten)? + "\n",
            Some(ObjectFormat::Template(template)) => {
                let value = serde_json::to_value(&found).map_err(unwritten)?;
                template::render(&template, &value)? + "\n"
            }
        };
        console.print(&escape::for_terminal(&text, console.is_terminal()))?;
        Ok(u8::from(!found.passed))
    }
}

fn summary(found: &SelfTest) -> String {
    format!(
        "Total Memory: {} bytes\nCPUs: {}\nTolerance: memory {MEMORY_TOLERANCE_PERCENT} % of the limit, processor time \
         {PROCESSOR_TOLERANCE_PERCENT} % of the quota\n\n",
        found.mem_total, found.processors
    )
}

fn cells(case: &Case) -> [String; 6] {
    let number = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let of = |value: String| match case.period {
        Some(period) if value != "-" => format!("{value}/{period}"),
        _ => value,
    };
    [
        case.name.clone(),
        of(case.limit.to_string()),
        of(number(case.kernel)),
        of(number(case.measured)),
        if case.passed { "ok" } else { "FAILED" }.to_owned(),
        case.problem.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_for_people() {
        let mut case = Case {
            name: "C1CPU".to_owned(),
            resource: "cpu".to_owned(),
            limit: 6250,
            period: Some(100_000),
            kernel: Some(6250),
            measured: Some(6300),
            oom_kills: None,
            passed: true,
            problem: String::new(),
        };
        assert_eq!(cells(&case), ["C1CPU", "6250/100000", "6250/100000", "6300/100000", "ok", ""]);
        (case.period, case.kernel, case.measured, case.passed) = (None, None, None, false);
        assert_eq!(cells(&case)[1..5], ["6250", "-", "-", "FAILED"]);
    }
}

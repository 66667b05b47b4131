//! Lines of a container's log, which may have been torn, or written by another program.

use tinyd_manager::fuzzing::log_line;

/// Reads each line.
pub fn log(data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n') {
        let Some(entry) = log_line(line) else { continue };
        // What the command wrote is at the line's end, with its line feed or without.
        let written = entry.data.strip_suffix(b"\n").unwrap_or(&entry.data);
        assert!(line.ends_with(written) || line.ends_with(&entry.data), "something was added");
        assert!(entry.data.len() <= line.len(), "something was added");
        // A longer line is the same but for what was written.
        let longer = [line, b"x"].concat();
        let longer = log_line(&longer).expect("what comes last is the command's");
        assert_eq!((longer.time, longer.source), (entry.time, entry.source));
    }
}

//! The numbers, compared with those that the compiler of C makes of the kernel's headers.

use super::*;
use std::process::Command;

#[test]
fn pure_numbers_are_those_of_the_kernels_headers() {
    let expected: [(&str, u64); 10] = [
        ("QCMD(Q_GETQUOTA, PRJQUOTA)", u64::from(GET << 8 | PROJECT)),
        ("QCMD(Q_SETQUOTA, PRJQUOTA)", u64::from(SET << 8 | PROJECT)),
        ("Q_XGETQSTATV", u64::from(GET_STATUS)),
        ("FS_QUOTA_PDQ_ACCT | FS_QUOTA_PDQ_ENFD", HELD),
        ("QIF_BLIMITS", u64::from(SPACE)),
        ("QIF_DQBLKSIZE", BLOCK),
        ("sizeof(struct if_dqblk)", size_of::<libc::dqblk>() as u64),
        ("FS_IOC_FSGETXATTR", u64::from(opcode::read::<Attributes>(b'X', 31))),
        ("FS_IOC_FSSETXATTR", u64::from(opcode::write::<Attributes>(b'X', 32))),
        ("FS_XFLAG_PROJINHERIT", u64::from(INHERIT)),
    ];
    let place = tempfile::tempdir().unwrap();
    let (source, program) = (place.path().join("ask.c"), place.path().join("ask"));
    let lines: String =
        expected.iter().map(|(what, _)| format!("printf(\"%u\\n\", (unsigned)({what}));\n")).collect();
    let headers = ["stdio.h", "sys/ioctl.h", "linux/fs.h", "linux/quota.h", "linux/dqblk_xfs.h"];
    let headers: String = headers.iter().map(|header| format!("#include <{header}>\n")).collect();
    std::fs::write(&source, format!("{headers}int main(void) {{\n{lines}return 0; }}\n")).unwrap();
    let cc = Command::new("cc").arg("-o").arg(&program).arg(&source).output().expect("the compiler of C");
    assert!(cc.status.success(), "{}", String::from_utf8_lossy(&cc.stderr));
    let answer = String::from_utf8(Command::new(&program).output().unwrap().stdout).unwrap();
    let answers: Vec<u64> = answer.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(answers.len(), expected.len());
    for ((what, here), there) in expected.iter().zip(answers) {
        assert_eq!(*here, there, "{what}");
    }
}

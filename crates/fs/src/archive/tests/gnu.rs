use super::*;
use crate::listing::{list, make_everything, same};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

#[test]
fn root_gnu_tar_reads_what_is_packed() {
    if !is_root() {
        return;
    }
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let (folder, from, to) = two();
        make_everything(&from);
        let (bytes, _) = packed(&from, &Pack { compression, ..Pack::default() });
        let archive = folder.path().join("archive");
        fs::write(&archive, bytes).unwrap();
        let (archive, to_text) = (archive.to_str().unwrap(), to.to_str().unwrap());
        let keep =
            ["--xattrs", "--xattrs-include=*", "--numeric-owner", "--same-owner", "--warning=no-timestamp"];
        // It tells the compression by the first bytes, too.
        tar(&[&["-xpf", archive, "-C", to_text], &keep[..]].concat());
        let (source, mut copy) = (list(&from), list(&to));
        // It does not make a hole of what no record says is one, nor a hole behind the last part.
        for (path, facts) in &mut copy {
            facts.sparse = source[path].sparse;
        }
        same(&source, &copy);
        assert!(fs::metadata(to.join("sparse")).unwrap().blocks() * 512 < 2 << 20, "holes are holes");
    }
}

#[test]
fn root_what_gnu_tar_packs_is_read() {
    if !is_root() {
        return;
    }
    let (folder, from, _) = two();
    make_everything(&from);
    let source = list(&from);
    let archive = folder.path().join("archive");
    let forms: [&[&str]; 6] = [
        &["--format=posix", "--sparse", "--sparse-version=0.0"],
        &["--format=posix", "--sparse", "--sparse-version=0.1"],
        &["--format=posix", "--sparse", "--sparse-version=1.0"],
        &["--format=posix", "--gzip"],
        &["--format=posix", "--zstd", "--sparse"],
        &["--format=gnu", "--sparse"],
    ];
    for form in forms {
        let to = folder.path().join("to again");
        fs::create_dir(&to).unwrap();
        let posix = form[0] == "--format=posix";
        let attributes: &[&str] = if posix { &["--xattrs", "--xattrs-include=*"] } else { &[] };
        let place = ["-cpf", archive.to_str().unwrap(), "-C", from.to_str().unwrap(), "--numeric-owner", "."];
        tar(&[form, attributes, &place].concat());
        let summary = unpacked(&fs::read(&archive).unwrap(), &to, &faithful()).unwrap();
        assert_eq!(summary.left_out, [], "{form:?}");
        let (mut source, mut copy) = (source.clone(), list(&to));
        for (path, facts) in &mut source {
            let ours = copy.get_mut(path).unwrap();
            if !form.contains(&"--sparse") {
                ours.sparse = facts.sparse;
            }
            if !posix {
                // The old format has neither.
                facts.xattrs.clear();
                facts.mtime.1 = 0;
            }
        }
        same(&source, &copy);
        crate::remove_tree(&to).unwrap();
    }
}

#[test]
fn root_files_larger_than_a_header_has_room_for() {
    if !is_root() {
        return;
    }
    let (folder, from, to) = two();
    let file = File::create(from.join("huge")).unwrap();
    for part in 0..2_000 {
        file.write_at(&[part as u8 | 1; 4096], part * (11 << 20)).unwrap();
    }
    file.set_len(21 << 30).unwrap();
    let (bytes, _) = packed(&from, &Pack::default());
    unpacked(&bytes, &to, &faithful()).unwrap();
    same(&list(&from), &list(&to));
    // Theirs has more parts than fit into one header, and into one block behind it.
    for format in ["--format=gnu", "--format=posix"] {
        let archive = folder.path().join("archive");
        let place = ["-cSf", archive.to_str().unwrap(), "-C", from.to_str().unwrap(), "."];
        tar(&[&[format], &place[..]].concat());
        crate::remove_tree(&to).unwrap();
        fs::create_dir(&to).unwrap();
        unpacked(&fs::read(&archive).unwrap(), &to, &faithful()).unwrap();
        let (source, copy) = (&list(&from)[Path::new("huge")], &list(&to)[Path::new("huge")]);
        assert_eq!((source.size, source.sparse), (copy.size, copy.sparse), "{format}");
        assert!(source.contents == copy.contents, "{format}");
    }
}

#[test]
fn root_the_same_tree_gives_the_same_bytes() {
    if !is_root() {
        return;
    }
    let (_folder, from, to) = two();
    make_everything(&from);
    let options = Pack { compression: Compression::Gzip, ..Pack::default() };
    let (first, summary) = packed(&from, &options);
    crate::copy::tree(File::open(&from).unwrap().as_fd(), File::open(&to).unwrap().as_fd()).unwrap();
    assert!(first == packed(&to, &options).0, "a copy of the tree gives another archive");
    assert_eq!(summary.entries, list(&from).len() as u64);
}

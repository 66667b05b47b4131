use super::*;
use std::fs;

#[test]
fn pure_where_nothing_is_counted_nothing_is_held() {
    let place = tempfile::tempdir().unwrap();
    // A tmpfs has no projects.
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    assert!(!is_held(folder.path()) && !is_held(&place.path().join("none")));
    assert_eq!(limit(folder.path()).unwrap(), None);
    release(folder.path()).unwrap();
    release(&place.path().join("none")).unwrap();
    assert!(hold(folder.path(), 1 << 20).unwrap_err().to_string().contains("limit the size of"));
    // Nor is a link to a folder one.
    std::os::unix::fs::symlink(folder.path(), place.path().join("link")).unwrap();
    assert_eq!(limit(&place.path().join("link")).unwrap(), None);
    assert!(hold(&place.path().join("link"), 1 << 20).is_err());
    fs::remove_file(place.path().join("link")).unwrap();
}

//! Tools that are scripts, and archives that are no friends.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn versions_are_found_in_what_tools_say() {
    for (text, version) in [
        ("v3.20.0+gb2e4314\n", Some("3.20.0")),
        ("Client Version: v1.35.4\nKustomize Version: v5.7.1\n", Some("1.35.4")),
        ("kubeseal version: 0.35.0\n", Some("0.35.0")),
        ("v4.0.0-rc.1+g1234567", Some("4.0.0-rc.1")),
        ("usage: helm [command]", None),
        ("1.2", None),
        ("", None),
    ] {
        assert_eq!(version_in(text).as_deref(), version, "{text:?}");
    }
}

#[test]
fn plugins_are_found_in_helms_table() {
    let table =
        "NAME    \tVERSION\tDESCRIPTION\ndiff    \t3.14.1 \tPreview helm upgrade changes\ndifferent\t1.0.0\tx\n";
    assert_eq!(plugin_in(table, "diff").as_deref(), Some("3.14.1"));
    assert_eq!(plugin_in(table, "secrets"), None);
}

fn script(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_tool_says_its_version_or_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    script(Path::new(&at("helm")), "#!/bin/sh\n[ \"$*\" = 'version --short' ] && echo v3.20.0+gb2e4314\n");
    assert_eq!(version(&at("helm")).await.unwrap().as_deref(), Some("3.20.0"));
    assert_eq!(version(&at("kubectl")).await.unwrap(), None);
    script(Path::new(&at("kubeseal")), "#!/bin/sh\necho broken >&2; exit 3\n");
    let fault = version(&at("kubeseal")).await.unwrap_err();
    assert_eq!((fault.cause, fault.said[0].as_str()), (Cause::Failed, "broken"));
    fs::write(at("kubectl"), [0x7f, b'E', b'L', b'F', 0, 0]).unwrap();
    assert!(version(&at("kubectl")).await.is_err(), "no permission to run it");
    fs::set_permissions(at("kubectl"), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(version(&at("kubectl")).await.is_err(), "no program at all");
}

/// An archive with these entries: name, kind, bytes or where the link leads.
fn archive(path: &Path, entries: &[(&str, tar::EntryType, &str)]) {
    let gzip = flate2::write::GzEncoder::new(fs::File::create(path).unwrap(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (name, kind, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        // As an attacker writes it: the builder itself refuses such names.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o777);
        let is_file = kind.is_file();
        header.set_size(if is_file { bytes.len() as u64 } else { 0 });
        if !is_file {
            header.set_link_name(bytes).unwrap();
        }
        header.set_cksum();
        tar.append(&header, if is_file { bytes.as_bytes() } else { &[] }).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
}

const FILE: tar::EntryType = tar::EntryType::Regular;

#[test]
fn a_plugin_is_put_in_place_of_the_one_that_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let (tgz, plugins) = (directory.path().join("diff.tgz"), directory.path().join("plugins"));
    let entries = |version: &'static str| {
        [("diff/README.md", FILE, "x"), ("diff/plugin.yaml", FILE, version), ("diff/bin/diff", FILE, "#!/bin/sh\n")]
    };
    archive(&tgz, &entries("name: \"diff\"\nversion: \"1\"\n"));
    place(&tgz, "diff", &plugins).unwrap();
    let yaml = plugins.join("helm-diff/plugin.yaml");
    assert!(fs::read_to_string(&yaml).unwrap().contains("\"1\""));
    assert_eq!(fs::metadata(plugins.join("helm-diff/bin/diff")).unwrap().permissions().mode() & 0o777, 0o755);
    // Somebody's own name for the directory stays.
    fs::rename(plugins.join("helm-diff"), plugins.join("mine")).unwrap();
    archive(&tgz, &entries("name: \"diff\"\nversion: \"2\"\n"));
    place(&tgz, "diff", &plugins).unwrap();
    assert!(fs::read_to_string(plugins.join("mine/plugin.yaml")).unwrap().contains("\"2\""));
    let names: Vec<_> = fs::read_dir(&plugins).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["mine"]);
}

#[test]
fn an_archives_paths_and_links_lead_nowhere() {
    let directory = tempfile::tempdir().unwrap();
    let (tgz, plugins) = (directory.path().join("diff.tgz"), directory.path().join("plugins"));
    let target = directory.path().join("target");
    fs::write(&target, "precious").unwrap();
    let path = target.to_str().unwrap();
    let (link, hard) = (tar::EntryType::Symlink, tar::EntryType::Link);
    let yaml = ("diff/plugin.yaml", FILE, "name: diff\n");
    for entries in [
        vec![yaml, ("diff/bin/diff", link, path)],
        vec![yaml, ("diff/bin/diff", hard, path)],
        vec![yaml, ("diff/bin", link, "/"), ("diff/bin/../../target", FILE, "evil")],
        vec![yaml, ("../target", FILE, "evil"), ("/diff/bin/diff", FILE, "evil")],
        vec![("diff/bin/diff", FILE, "#!/bin/sh\n")],
    ] {
        archive(&tgz, &entries);
        let trouble = place(&tgz, "diff", &plugins).unwrap_err();
        assert!(matches!(trouble, web::WebError::Archive(_)), "{entries:?}: {trouble:?}");
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
        assert_eq!(fs::read_dir(&plugins).unwrap().count(), 0, "{entries:?}");
    }
}

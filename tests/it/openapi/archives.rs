//! Archives by people who mean harm, or whose tools do: each is refused, and the refusal names the
//! entry.

use std::io::{Cursor, Write};

use bytes::Bytes;
use causeway::openapi::archive::{ArchiveLimits, unpack};
use causeway::openapi::upload;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

fn zipped(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        archive
            .start_file(*name, SimpleFileOptions::default())
            .unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// Every occurrence of some bytes becomes others of the same length.
fn patched(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut found = 0;
    for at in 0..bytes.len().saturating_sub(from.len()) {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
            found += 1;
        }
    }
    assert!(found >= 2, "a name stands in two headers");
    bytes
}

/// A field of the local header (offset from its start) and of the central one.
fn set(mut bytes: Vec<u8>, (local, central): (usize, usize), value: &[u8]) -> Vec<u8> {
    for (mark, offset) in [(b"PK\x03\x04", local), (b"PK\x01\x02", central)] {
        let at = bytes.windows(4).position(|four| four == mark).unwrap() + offset;
        bytes[at..at + value.len()].copy_from_slice(value);
    }
    bytes
}

fn refused(bytes: &[u8], words: &[&str]) {
    let error = unpack(bytes, &ArchiveLimits::default())
        .unwrap_err()
        .to_string();
    for word in words {
        assert!(error.contains(word), "{word} is not in {error}");
    }
}

#[test]
fn an_archive_is_unpacked_with_its_folders() {
    let entries: &[(&str, &[u8])] = &[
        ("api/openapi.yaml", b"openapi: 3.1.0"),
        ("api/paths/a.yaml", b"get: {}"),
        ("__MACOSX/api/._openapi.yaml", b"\0"),
        ("api/.DS_Store", b"\0"),
    ];
    let files = unpack(&zipped(entries), &ArchiveLimits::default()).unwrap();
    let names: Vec<&String> = files.keys().collect();
    assert_eq!(names, ["api/openapi.yaml", "api/paths/a.yaml"]);
    assert_eq!(&files["api/paths/a.yaml"][..], b"get: {}");
    let windows = patched(
        zipped(&[("api/a.yaml", b"x: 1")]),
        b"api/a.yaml",
        br"api\a.yaml",
    );
    let files = unpack(&windows, &ArchiveLimits::default()).unwrap();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["api/a.yaml"]);
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for (name, said) in [
        ("../b.yaml", "leads out of the archive"),
        ("/ab.yaml/", "absolute path"),
        (r"..\b.yaml", "leads out of the archive"),
        (r"c:\b.yaml", "absolute path"),
        ("a/../b.ym", "leads out of the archive"),
        ("a\nb/b.ym/", "no name a file can have"),
    ] {
        let plain = "x".repeat(name.len());
        let hostile = patched(
            zipped(&[(&plain, b"x: 1")]),
            plain.as_bytes(),
            name.as_bytes(),
        );
        refused(&hostile, &[said]);
    }
}

#[test]
fn two_files_of_one_name_are_refused() {
    let two = zipped(&[("a.yaml", b"openapi: 3.1.0"), ("b.yaml", b"openapi: 3.0.0")]);
    refused(
        &patched(two, b"b.yaml", b"a.yaml"),
        &["`a.yaml`", "is there twice"],
    );
    let two = zipped(&[("p/a.yaml", b"1"), ("p_a.yaml", b"2")]);
    refused(
        &patched(two, b"p_a.yaml", br"p\a.yaml"),
        &["is there twice"],
    );
}

#[test]
fn bombs_do_not_go_off() {
    let zeros = vec![b' '; 40 << 20];
    let bomb = zipped(&[("fine.yaml", b"x: 1"), ("bomb.yaml", &zeros)]);
    assert!(bomb.len() < 100 << 10);
    refused(&bomb, &["`bomb.yaml`", "100 times its size"]);
    let limits = ArchiveLimits {
        unpacked_bytes_max: 1_000,
        ..ArchiveLimits::default()
    };
    let large = zipped(&[("large.yaml", &zeros[..2_000])]);
    let error = unpack(&large, &limits).unwrap_err().to_string();
    assert!(error.contains("more than 1000 bytes unpacked"), "{error}");
    let many: Vec<(String, &[u8])> = (0..2_001)
        .map(|n| (format!("{n}.yaml"), &b"x"[..]))
        .collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(name, text)| (&**name, *text)).collect();
    refused(&zipped(&many), &["2001 entries"]);
}

#[test]
fn sizes_that_are_not_true_are_refused() {
    const SIZE: (usize, usize) = (22, 24);
    let text = b"openapi: 3.1.0 # some more text to be compressed compressed compressed";
    let honest = zipped(&[("a.yaml", text)]);
    refused(
        &set(honest.clone(), SIZE, &4_u32.to_le_bytes()),
        &["`a.yaml`", "larger than its declared"],
    );
    refused(&set(honest, SIZE, &4_000_u32.to_le_bytes()), &["`a.yaml`"]);
}

#[test]
fn links_passwords_archives_and_odd_compressions_are_refused() {
    const FLAGS: (usize, usize) = (6, 8);
    const METHOD: (usize, usize) = (8, 10);
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    archive
        .add_symlink("link.yaml", "/etc/passwd", options)
        .unwrap();
    let linked = archive.finish().unwrap().into_inner();
    refused(&linked, &["`link.yaml`", "symbolic link"]);
    let plain = zipped(&[("a.yaml", b"x: 1")]);
    refused(
        &set(plain.clone(), FLAGS, &1_u16.to_le_bytes()),
        &["`a.yaml`", "encrypted"],
    );
    refused(
        &set(plain.clone(), METHOD, &12_u16.to_le_bytes()),
        &["`a.yaml`", "only deflate"],
    );
    refused(
        &zipped(&[("inner.zip", b"")]),
        &["`inner.zip`", "an archive itself"],
    );
    refused(
        &zipped(&[("inner.yaml", &plain)]),
        &["`inner.yaml`", "an archive itself"],
    );
    refused(&zipped(&[]), &["holds no file"]);
    refused(&plain[..plain.len() / 2], &["not a zip archive"]);
    refused(b"PK\x03\x04", &["not a zip archive"]);
}

#[test]
fn two_files_of_one_name_are_refused_however_they_are_named() {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, unicode) in [("openapi.json", None), ("x.json", Some("openapi.json"))] {
        let mut options = zip::write::FullFileOptions::default();
        if let Some(unicode) = unicode {
            // Info-ZIP's Unicode Path: a version, the CRC-32 of the name that stands in the header, a name.
            let mut field = vec![1];
            field.extend(crc32(name.as_bytes()).to_le_bytes());
            field.extend(unicode.as_bytes());
            options
                .add_extra_field(0x7075, field.into_boxed_slice(), true)
                .unwrap();
        }
        archive.start_file(name, options).unwrap();
        archive.write_all(b"{}").unwrap();
    }
    let twice = archive.finish().unwrap().into_inner();
    refused(&twice, &["one file twice"]);
}

/// IEEE 802.3, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let bit = |crc: u32, _| (crc >> 1) ^ (0xEDB8_8320 * (crc & 1));
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), bit)
    })
}

#[test]
fn files_sent_together_have_names_too() {
    let sent = |files: &[(&str, &[u8])]| {
        let files = files
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), Bytes::copy_from_slice(bytes)));
        upload::files(files.collect())
    };
    assert_eq!(
        sent(&[("a.yaml", b"1"), ("b/c.yaml", b"2")]).unwrap().len(),
        2
    );
    assert!(sent(&[("", b"1")]).is_ok(), "one file needs no name");
    for (files, said) in [
        (&[("a.yaml", &b"1"[..]), ("../b.yaml", b"2")], "leads out"),
        (&[("a.yaml", b"1"), ("a.yaml", b"2")], "is there twice"),
        (
            &[("a.yaml", b"1"), ("b.zip", b"PK\x03\x04")],
            "an archive itself",
        ),
    ] {
        let error = sent(files).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

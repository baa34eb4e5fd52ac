//! Dates by Go's reference time, and the time zones that need no tables: those without summer time.

use chrono::{DateTime, Datelike, FixedOffset, Timelike};

/// Zones whose offset is the same all year, and has been for decades, in minutes.
const ZONES: [(&str, i32); 30] = [
    ("", 0),
    ("UTC", 0),
    ("GMT", 0),
    ("Local", 0),
    ("Etc/UTC", 0),
    ("Africa/Abidjan", 0),
    ("Africa/Lagos", 60),
    ("Africa/Johannesburg", 120),
    ("Africa/Nairobi", 180),
    ("Europe/Moscow", 180),
    ("Europe/Istanbul", 180),
    ("Asia/Riyadh", 180),
    ("Asia/Dubai", 240),
    ("Asia/Karachi", 300),
    ("Asia/Kolkata", 330),
    ("Asia/Calcutta", 330),
    ("Asia/Kathmandu", 345),
    ("Asia/Dhaka", 360),
    ("Asia/Bangkok", 420),
    ("Asia/Ho_Chi_Minh", 420),
    ("Asia/Jakarta", 420),
    ("Asia/Shanghai", 480),
    ("Asia/Chongqing", 480),
    ("Asia/Hong_Kong", 480),
    ("Asia/Singapore", 480),
    ("Asia/Taipei", 480),
    ("Asia/Manila", 480),
    ("PRC", 480),
    ("Asia/Tokyo", 540),
    ("Asia/Seoul", 540),
];

/// The zone of that name, if it is one of those.
pub fn zone(name: &str) -> Option<FixedOffset> {
    let (_, minutes) = ZONES.iter().find(|(known, _)| *known == name.trim())?;
    FixedOffset::east_opt(minutes * 60)
}

/// Parts of Go's layouts, longest first where one begins with another.
const PARTS: [&str; 27] = [
    "January", "Jan", "Monday", "Mon", "2006", "-07:00", "-0700", "Z07:00", "MST", "002", "01",
    "02", "03", "04", "05", "06", "15", "PM", "pm", ".000000", ".000", "_2", "1", "2", "3", "4",
    "5",
];

/// The time in a layout such as `2006-01-02 15:04:05`.
pub fn written(time: &DateTime<FixedOffset>, layout: &str) -> String {
    let mut out = String::new();
    let mut rest = layout;
    while let Some(c) = rest.chars().next() {
        let part = PARTS.iter().find(|part| rest.starts_with(**part));
        match part {
            Some(part) => {
                out.push_str(&one(time, part));
                rest = &rest[part.len()..];
            }
            None => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    out
}

fn one(time: &DateTime<FixedOffset>, part: &str) -> String {
    let (afternoon, hour) = time.hour12();
    match part {
        "January" => time.format("%B").to_string(),
        "Jan" => time.format("%b").to_string(),
        "Monday" => time.format("%A").to_string(),
        "Mon" => time.format("%a").to_string(),
        "2006" => format!("{:04}", time.year()),
        "06" => format!("{:02}", time.year().rem_euclid(100)),
        "01" => format!("{:02}", time.month()),
        "1" => time.month().to_string(),
        "002" => format!("{:03}", time.ordinal()),
        "02" => format!("{:02}", time.day()),
        "_2" => format!("{:2}", time.day()),
        "2" => time.day().to_string(),
        "15" => format!("{:02}", time.hour()),
        "03" => format!("{hour:02}"),
        "3" => hour.to_string(),
        "04" => format!("{:02}", time.minute()),
        "4" => time.minute().to_string(),
        "05" => format!("{:02}", time.second()),
        "5" => time.second().to_string(),
        ".000" => format!(".{:03}", time.timestamp_subsec_millis()),
        ".000000" => format!(".{:06}", time.timestamp_subsec_micros()),
        "PM" => if afternoon { "PM" } else { "AM" }.to_owned(),
        "pm" => if afternoon { "pm" } else { "am" }.to_owned(),
        "-0700" => time.format("%z").to_string(),
        "MST" if time.offset().local_minus_utc() == 0 => "UTC".to_owned(),
        "Z07:00" if time.offset().local_minus_utc() == 0 => "Z".to_owned(),
        _ => time.format("%:z").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_those_of_go() {
        let time = DateTime::from_timestamp(1_767_225_599, 0).unwrap();
        let shanghai = time.with_timezone(&zone("Asia/Shanghai").unwrap());
        for (layout, expected) in [
            ("20060102", "20260101"),
            (
                "Monday, 2006-01-02 15:04:05",
                "Thursday, 2026-01-01 07:59:59",
            ),
            ("2 Jan 06 3:04PM -0700", "1 Jan 26 7:59AM +0800"),
            ("2006-01-02T15:04:05Z07:00", "2026-01-01T07:59:59+08:00"),
        ] {
            assert_eq!(written(&shanghai, layout), expected, "{layout}");
        }
        assert_eq!(zone("Europe/Berlin"), None);
    }
}

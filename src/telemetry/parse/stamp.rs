//! Finds and parses times in log lines, in the forms that common loggers write.

use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

use super::super::log::Level;
use super::super::time::Timestamp;
use super::Context;

/// A cursor over ASCII bytes. A reader returns `None` if the text does not match; it may have advanced by then, so callers
/// try alternatives on a copy.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), at: 0 }
    }
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }
    pub(super) fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }
    fn eat_any(&mut self, set: &[u8]) -> Option<u8> {
        let byte = self.peek()?;
        set.contains(&byte).then(|| {
            self.at += 1;
            byte
        })
    }
    /// A number of exactly `count` digits.
    pub(super) fn digits(&mut self, count: usize) -> Option<u32> {
        let digits = self.bytes.get(self.at..self.at + count)?;
        let mut value = 0_u32;
        for b in digits {
            value = value * 10 + u32::from(b.is_ascii_digit().then(|| b - b'0')?);
        }
        self.at += count;
        Some(value)
    }
    /// Skips white space.
    pub(super) fn skip_spaces(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
    }
    /// A number of one or two digits.
    pub(super) fn one_or_two(&mut self) -> Option<u32> {
        self.digits(2).or_else(|| self.digits(1))
    }
    /// A number of any length.
    pub(super) fn number(&mut self) -> Option<i64> {
        let rest = self.bytes.get(self.at..)?;
        let digits = rest.iter().take(18).take_while(|b| b.is_ascii_digit()).count();
        let number = std::str::from_utf8(rest.get(..digits)?).ok()?.parse().ok()?;
        self.at += digits;
        Some(number)
    }
    /// A word of letters.
    pub(super) fn word(&mut self) -> Option<()> {
        let letters = self.bytes.get(self.at..)?.iter().take_while(|b| b.is_ascii_alphabetic() || !b.is_ascii()).count();
        self.at += letters;
        (letters > 0).then_some(())
    }
    /// `AM` or `PM` in any case; `true` for `PM`.
    pub(super) fn am_or_pm(&mut self) -> Option<bool> {
        let half = self.eat_any(b"AaPp")?;
        self.eat_any(b"Mm")?;
        Some(half.eq_ignore_ascii_case(&b'p'))
    }
    /// The digits of a fraction of a second, in nanoseconds.
    pub(super) fn fraction_digits(&mut self) -> Option<u32> {
        let rest = self.bytes.get(self.at..)?;
        let digits = rest.iter().take(9).take_while(|b| b.is_ascii_digit()).count();
        let value: u32 = std::str::from_utf8(rest.get(..digits)?).ok()?.parse().ok()?;
        self.at += digits;
        Some(value * 10_u32.pow(9 - u32::try_from(digits).ok()?))
    }
    /// A zone at this place, with or without a space before it.
    pub(super) fn zone_here(&mut self) -> Option<Zone> {
        let mut apart = *self;
        apart.at = apart.at.checked_sub(1).filter(|at| self.bytes.get(*at) == Some(&b' ')).unwrap_or(apart.at);
        let zone = apart.zone().or_else(|| self.zone())?;
        self.at = self.at.max(apart.at);
        Some(zone)
    }
    /// The fraction of a second after `.` or `,`, in nanoseconds; zero if there is none.
    fn fraction(&mut self) -> u32 {
        let mut ahead = *self;
        if ahead.eat_any(b".,").is_none() || !ahead.peek().is_some_and(|b| b.is_ascii_digit()) {
            return 0;
        }
        let (mut value, mut places) = (0_u32, 0);
        while let Some(b) = ahead.peek().filter(u8::is_ascii_digit) {
            if places < 9 {
                value = value * 10 + u32::from(b - b'0');
                places += 1;
            }
            ahead.at += 1;
        }
        *self = ahead;
        value * 10_u32.pow(9 - places)
    }
    /// A time of day with an optional fraction, such as `09:31:07.123`.
    fn clock(&mut self) -> Option<Time> {
        let mut ahead = *self;
        let hour = ahead.digits(2)?;
        ahead.eat(b':')?;
        let minute = ahead.digits(2)?;
        ahead.eat(b':')?;
        let second = ahead.digits(2)?;
        let nanos = ahead.fraction();
        *self = ahead;
        // A leap second, `:60`, becomes the last second of its minute.
        Time::from_hms_nano(u8::try_from(hour).ok()?, u8::try_from(minute).ok()?, u8::try_from(second.min(59)).ok()?, nanos).ok()
    }
    /// A time of day without leading zeros, such as `9:3:7`.
    fn loose_clock(&mut self) -> Option<Time> {
        let mut ahead = *self;
        let number = |c: &mut Self| c.digits(2).or_else(|| c.digits(1)).and_then(|n| u8::try_from(n).ok());
        let hour = number(&mut ahead)?;
        ahead.eat(b':')?;
        let minute = number(&mut ahead)?;
        ahead.eat(b':')?;
        let second = number(&mut ahead)?;
        let nanos = ahead.fraction();
        let clock = Time::from_hms_nano(hour, minute, second.min(59), nanos).ok()?;
        *self = ahead;
        Some(clock)
    }
    /// Converts a 12-hour clock if `AM` or `PM` follows, also as ` p.m.`; otherwise returns it unchanged. `None` if the hour is not 1 to 12.
    fn apply_am_pm(&mut self, clock: Time) -> Option<Time> {
        let mut ahead = *self;
        let _space = ahead.eat(b' ');
        let Some(half) = ahead.eat_any(b"AaPp") else { return Some(clock) };
        let has_dots = ahead.eat(b'.').is_some();
        if ahead.eat_any(b"Mm").is_none()
            || has_dots && ahead.eat(b'.').is_none()
            || ahead.peek().is_some_and(|b| b.is_ascii_alphanumeric())
        {
            return Some(clock);
        }
        let hour = (1..=12).contains(&clock.hour()).then(|| clock.hour() % 12)?;
        *self = ahead;
        clock.replace_hour(if half.eq_ignore_ascii_case(&b'p') { hour + 12 } else { hour }).ok()
    }
    /// A time of day of 24 hours with all its digits, or of 12 hours with `AM` or `PM`.
    fn clock_of_day(&mut self) -> Option<Time> {
        let mut ahead = *self;
        if let Some(clock) = ahead.clock() {
            let clock = ahead.apply_am_pm(clock)?;
            *self = ahead;
            return Some(clock);
        }
        let mut ahead = *self;
        let loose = ahead.loose_clock()?;
        let before = ahead.at;
        let clock = ahead.apply_am_pm(loose)?;
        (ahead.at > before).then(|| {
            *self = ahead;
            clock
        })
    }
    /// The milliseconds that follow a clock after a colon: `9:31:07:123`.
    fn with_millis(&mut self, clock: Time) -> Time {
        let mut ahead = *self;
        let millis = ahead.eat(b':').and_then(|()| ahead.digits(3)).filter(|_| !ahead.peek().is_some_and(|b| b.is_ascii_digit()));
        let with = millis.and_then(|m| clock.replace_millisecond(u16::try_from(m).ok()?).ok());
        if with.is_some() {
            *self = ahead;
        }
        with.unwrap_or(clock)
    }
    /// A time of day, behind a date also without seconds: `09:31`, `9:31 AM`.
    fn clock_behind_date(&mut self) -> Option<Time> {
        if let Some(clock) = self.clock_of_day() {
            return Some(clock);
        }
        let mut ahead = *self;
        let hour = ahead.one_or_two()?;
        ahead.eat(b':')?;
        let minute = ahead.digits(2)?;
        if ahead.peek().is_some_and(|b| b.is_ascii_digit() || matches!(b, b':' | b'.')) {
            return None;
        }
        let clock = Time::from_hms(u8::try_from(hour).ok()?, u8::try_from(minute).ok()?, 0).ok()?;
        let clock = ahead.apply_am_pm(clock)?;
        *self = ahead;
        Some(clock)
    }
    /// A time of day with dots, such as `15.42.50.675872`.
    fn dotted_clock(&mut self) -> Option<Time> {
        let mut ahead = *self;
        let hour = ahead.digits(2)?;
        ahead.eat(b'.')?;
        let minute = ahead.digits(2)?;
        ahead.eat(b'.')?;
        let second = ahead.digits(2)?;
        let nanos = ahead.fraction();
        *self = ahead;
        Time::from_hms_nano(u8::try_from(hour).ok()?, u8::try_from(minute).ok()?, u8::try_from(second.min(59)).ok()?, nanos).ok()
    }
    /// A zone: `Z`, `+01:00`, `+0100`, ` +0100`, ` UTC`, ` CET`. `None` if there is none.
    fn zone(&mut self) -> Option<Zone> {
        let mut ahead = *self;
        let is_apart = ahead.peek() == Some(b' ');
        if is_apart {
            ahead.at += 1;
        }
        let offset = match ahead.peek()? {
            // After a space, a lower-case letter begins a word.
            b'z' if is_apart => return None,
            b'Z' | b'z' => {
                ahead.at += 1;
                UtcOffset::UTC
            }
            b'U' | b'G' if matches!(ahead.bytes.get(ahead.at..ahead.at + 3), Some(b"UTC" | b"GMT")) => {
                ahead.at += 3;
                UtcOffset::UTC
            }
            sign @ (b'+' | b'-') => {
                ahead.at += 1;
                // Three digits are minutes.
                let digits = ahead.bytes.get(ahead.at..).map_or(0, |r| r.iter().take_while(|b| b.is_ascii_digit()).count());
                if digits == 3 {
                    let minutes = i32::try_from(ahead.digits(3)?).ok().filter(|m| *m <= 840)?;
                    *self = ahead;
                    return UtcOffset::from_whole_seconds(if sign == b'-' { -minutes * 60 } else { minutes * 60 })
                        .ok()
                        .map(Zone::Offset);
                }
                let hours = i32::try_from(ahead.digits(2)?).ok().filter(|h| *h <= 14)?;
                let _colon = ahead.eat(b':');
                // `+02`, directly behind the clock.
                let minutes = if digits == 2 && !is_apart && !ahead.peek().is_some_and(|b| b.is_ascii_digit()) {
                    0
                } else {
                    i32::try_from(ahead.digits(2)?).ok().filter(|m| *m < 60)?
                };
                let secs = (hours * 60 + minutes) * 60;
                UtcOffset::from_whole_seconds(if sign == b'-' { -secs } else { secs }).ok()?
            }
            letter if is_apart && letter.is_ascii_uppercase() && ahead.names_place() => {
                let zone = ahead.place()?;
                *self = ahead;
                return Some(zone);
            }
            letter if is_apart && letter.is_ascii_uppercase() => {
                let (name, minutes) =
                    ZONES.iter().find(|(name, _)| ahead.bytes.get(ahead.at..).is_some_and(|b| b.starts_with(name)))?;
                ahead.at += name.len();
                UtcOffset::from_whole_seconds(minutes * 60).ok()?
            }
            _ => return None,
        };
        // This is the next word and not a zone: `Zone loaded`, `-15000 rows`.
        if is_apart && ahead.peek().is_some_and(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        *self = ahead;
        Some(Zone::Offset(offset))
    }
    /// Whether a zone named by a place is here: `Europe/Berlin`.
    fn names_place(&self) -> bool {
        const LONGEST_AREA: usize = 10;
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let area = rest.iter().take(LONGEST_AREA).take_while(|b| b.is_ascii_alphabetic()).count();
        area > 2 && rest.get(area) == Some(&b'/')
    }
    /// The zone named by a place, from the time zone database.
    fn place(&mut self) -> Option<Zone> {
        let rest = self.bytes.get(self.at..)?;
        let length =
            rest.iter().take(40).take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-' | b'+')).count();
        let zone = tzdb::tz_by_name(rest.get(..length)?)?;
        self.at += length;
        Some(Zone::Place(zone))
    }
    /// The name of a month: of three letters in English, also longer and in other languages.
    pub(super) fn month_name(&mut self) -> Option<Month> {
        let rest = self.bytes.get(self.at..)?;
        // English first, which is nearly every log.
        if !rest.get(3).is_some_and(|b| b.is_ascii_alphabetic() || !b.is_ascii())
            && let Some(month) = month(rest.get(..3)?)
        {
            self.at += 3 + usize::from(rest.get(3..5) == Some(b". "));
            return Some(month);
        }
        if !may_be_month(*rest.first()?, *rest.get(1)?) {
            return None;
        }
        // Letters of other languages are of several bytes.
        let letters = rest.iter().take(17).take_while(|b| b.is_ascii_alphabetic() || !b.is_ascii()).count();
        // A number follows a month.
        let dot = usize::from(rest.get(letters) == Some(&b'.'));
        let is_followed = rest.get(letters + dot).is_some_and(|b| b"/ -.".contains(b))
            && rest.get(letters + dot + 1).is_some_and(|b| b.is_ascii_digit() || *b == b' ');
        if !(3..=16).contains(&letters) || !is_followed {
            return None;
        }
        let name = std::str::from_utf8(rest.get(..letters)?).ok()?.to_lowercase();
        let month = MONTHS.iter().position(|names| names.split(' ').any(|known| known == name))?;
        self.at += letters + dot;
        Month::try_from(u8::try_from(month + 1).ok()?).ok()
    }
}

/// The zone of a time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Zone {
    Offset(UtcOffset),
    /// A place, whose offset depends on the time.
    Place(tz::TimeZoneRef<'static>),
}

impl Zone {
    /// The offset in seconds east of UTC at a local time, given in seconds as if it were UTC.
    fn offset_at(self, local: i64) -> i64 {
        match self {
            Self::Offset(offset) => i64::from(offset.whole_seconds()),
            Self::Place(place) => {
                let at = |utc: i64| place.find_local_time_type(utc).map_or(0, |found| i64::from(found.ut_offset()));
                // The offset at the local time is nearly always that at the moment itself.
                at(local - at(local))
            }
        }
    }
}

/// Time zone abbreviations that servers write, with minutes east of UTC. An ambiguous abbreviation (CST, BST, IST) means the
/// zone that most servers run in. Source: the abbreviations of the time zone database.
const ZONES: [(&[u8], i32); 27] = [
    (b"EST", -300),
    (b"EDT", -240),
    (b"CST", -360),
    (b"CDT", -300),
    (b"MST", -420),
    (b"MDT", -360),
    (b"PST", -480),
    (b"PDT", -420),
    (b"CEST", 120),
    (b"CET", 60),
    (b"BST", 60),
    (b"WEST", 60),
    (b"WET", 0),
    (b"EEST", 180),
    (b"EET", 120),
    (b"MSK", 180),
    (b"IST", 330),
    (b"JST", 540),
    (b"KST", 540),
    (b"SGT", 480),
    (b"HKT", 480),
    (b"AEST", 600),
    (b"AEDT", 660),
    (b"AWST", 480),
    (b"NZST", 720),
    (b"NZDT", 780),
    (b"SAST", 120),
];

/// The names of months in full, and shortened in Danish, Dutch, French, German, Italian, Norwegian, Polish, Portuguese, Spanish and Swedish, as the
/// Unicode locale data (CLDR) have them.
const MONTHS: [&str; 12] = [
    "january januar janv janvier ene enero gen gennaio jan janeiro januari sty stycznia",
    "february februar févr février feb febrero febbraio fev fevereiro februari lut lutego",
    "march märz mär mars mar marzo março maart mrt marts marca",
    "april avr avril abr abril aprile apr kwi kwietnia",
    "may mai mayo mag maggio maio mei maj maja",
    "june juni juin jun junio giu giugno junho cze czerwca",
    "july juli juil juillet jul julio lug luglio julho lip lipca",
    "august août ago agosto aug augustus augusti sie sierpnia",
    "september sept septembre sep septiembre set settembre setembro wrz września",
    "october oktober okt oct octobre octubre ott ottobre out outubro paź października",
    "november novembre nov noviembre novembro lis listopada",
    "december dezember dez déc décembre dic diciembre dicembre dezembro dec grudnia gru",
];

/// Whether a month of [`MONTHS`] begins with these bytes: a quick check that rules out most words.
fn may_be_month(first: u8, second: u8) -> bool {
    let seconds: &[u8] = match first.to_ascii_lowercase() {
        b'a' => b"bgopuv",
        b'c' => b"z",
        b'd' => b"ei",
        b'e' => b"n",
        b'f' => b"e",
        b'g' => b"eir",
        b'j' => b"au",
        b'k' => b"w",
        b'l' => b"iu",
        b'm' => b"aer",
        b'n' => b"o",
        b'o' => b"cktu",
        b'p' => b"a",
        b's' => b"eit",
        b'w' => b"r",
        _ => return false,
    };
    !second.is_ascii() || seconds.contains(&second.to_ascii_lowercase())
}

/// The month with a three-letter English name, in any case.
fn month(name: &[u8]) -> Option<Month> {
    let [first, second, third] = name else { return None };
    Some(match &[first | 0x20, second | 0x20, third | 0x20] {
        b"jan" => Month::January,
        b"feb" => Month::February,
        b"mar" => Month::March,
        b"apr" => Month::April,
        b"may" => Month::May,
        b"jun" => Month::June,
        b"jul" => Month::July,
        b"aug" => Month::August,
        b"sep" => Month::September,
        b"oct" => Month::October,
        b"nov" => Month::November,
        b"dec" => Month::December,
        _ => return None,
    })
}

/// The moment of a date and a time of day; without a zone, the context's offset applies.
fn assemble(date: Date, clock: Time, zone: Option<Zone>, context: Context) -> Timestamp {
    // By hand, because this runs for every line: 2,440,588 is the Julian day of 1970-01-01.
    const EPOCH: i64 = 2_440_588;
    let day = i64::from(date.to_julian_day()) - EPOCH;
    let (hour, minute, second) = clock.as_hms();
    let local = day * 86_400 + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    let secs = local - zone.map_or(i64::from(context.offset_secs), |zone| zone.offset_at(local));
    Timestamp::from_micros(secs * 1_000_000 + i64::from(clock.microsecond()))
}

/// The moment of a date by its numbers. `None` if there is no such date.
fn moment(date: (u32, u32, u32), clock: Time, zone: Option<Zone>, context: Context) -> Option<Timestamp> {
    let (year, month, day) = date;
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?).ok()?;
    Some(assemble(date, clock, zone, context))
}

/// The parts of a time that were read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moment {
    pub(super) year: Option<u32>,
    pub(super) month: Option<u32>,
    pub(super) day: Option<u32>,
    pub(super) day_of_year: Option<u32>,
    pub(super) hour: Option<u32>,
    pub(super) is_pm: Option<bool>,
    pub(super) minute: u32,
    pub(super) second: u32,
    pub(super) nanos: u32,
    pub(super) zone: Option<Zone>,
    /// Unix seconds.
    pub(super) epoch: Option<i64>,
}

/// The moment of parts. What is missing of the date makes it the most recent one.
pub(super) fn moment_of(parts: &Moment, context: Context) -> Option<Timestamp> {
    let clock = parts.clock()?;
    match (parts.year, parts.month, parts.day) {
        (Some(year), None, None) if parts.day_of_year.is_some() => {
            let date = Date::from_ordinal_date(i32::try_from(year).ok()?, u16::try_from(parts.day_of_year?).ok()?).ok()?;
            Some(assemble(date, clock, parts.zone, context))
        }
        (Some(year), month, day) => moment((year, month.unwrap_or(1), day.unwrap_or(1)), clock, parts.zone, context),
        (None, Some(month), Some(day)) => {
            without_year(Month::try_from(u8::try_from(month).ok()?).ok()?, day, clock, parts.zone, context)
        }
        (None, None, None) if parts.hour.is_some() => most_recent(clock, context),
        _ => None,
    }
}

/// The number of a month.
fn number(month: Month) -> u32 {
    u32::from(u8::from(month))
}

/// The moment of a date without a year: the most recent one, at most a day ahead of now (clocks may run fast).
fn without_year(month: Month, day: u32, clock: Time, zone: Option<Zone>, context: Context) -> Option<Timestamp> {
    let limit = context.now + std::time::Duration::from_hours(24);
    let latest = OffsetDateTime::from_unix_timestamp(limit.secs()).ok()?.year();
    (latest - 5..=latest).rev().find_map(|year| {
        let date = Date::from_calendar_date(year, month, u8::try_from(day).ok()?).ok()?;
        Some(assemble(date, clock, zone, context)).filter(|at| *at <= limit)
    })
}

/// The time at the start of a line, after any opening brackets, quotes and spaces, and the bytes used.
pub fn leading(text: &str, context: Context) -> Option<(Timestamp, usize)> {
    // Network devices mark a clock that is not set with a star, and one that has lost its source with a dot.
    let skip = text.bytes().take_while(|b| matches!(b, b'[' | b'(' | b'"' | b'<' | b' ' | b'*')).count();
    let dot = matches!(text.as_bytes().get(skip..skip + 2), Some([b'.', b'A'..=b'Z']));
    let skip = skip + usize::from(dot);
    let (at, used) = at_start(text.get(skip..)?, context)?;
    Some((at, skip + used))
}

/// More digits than any form of a time begins with.
const MOST_DIGITS: usize = 14;

/// The time at the very start of a text, in any known form, and the bytes used.
pub fn at_start(text: &str, context: Context) -> Option<(Timestamp, usize)> {
    let first = *text.as_bytes().first()?;
    if first.is_ascii_digit() {
        // The number of digits at the start rules out most forms.
        match text.bytes().take(MOST_DIGITS).take_while(u8::is_ascii_digit).count() {
            1 | 2 => day_month_year(text, context)
                .or_else(|| numeric_year_last(text, context))
                .or_else(|| short_year(text, context))
                .or_else(|| month_day(text, context)),
            4 => numeric_date(text, context)
                .or_else(|| day_of_year(text, context))
                .or_else(|| year_month_day(text, context))
                .or_else(|| compact_month_day(text, context)),
            6 | 8 => compact(text, context),
            10 | 13 => unix(text, context),
            _ => None,
        }
        .or_else(|| hexadecimal(text, context))
    } else if first.is_ascii_alphabetic() || first >= 0x80 {
        named_date(text, context)
    } else if first == b'@' {
        tai64n(text)
    } else {
        None
    }
}

/// The moment of a time of day without a date, as logback writes it with `%d{HH:mm:ss.SSS}`, and the bytes used. Takes the
/// most recent such moment, at most an hour ahead of now (clocks differ).
pub fn time_of_day(text: &str, context: Context) -> Option<(Timestamp, usize)> {
    let (clock, used) = clock_alone(text)?;
    Some((most_recent(clock, context)?, used))
}

/// The most recent moment of a time of day.
fn most_recent(clock: Time, context: Context) -> Option<Timestamp> {
    let hour = std::time::Duration::from_hours(1);
    let latest = (context.now + hour).datetime().to_offset(UtcOffset::from_whole_seconds(context.offset_secs).ok()?);
    let today = assemble(latest.date(), clock, None, context);
    Some(if today > context.now + hour { assemble(latest.date().previous_day()?, clock, None, context) } else { today })
}

/// The time of day at the start of a line without a date, in seconds since midnight.
pub fn second_of_day(text: &str) -> Option<u32> {
    let (clock, _) = clock_alone(text)?;
    Some(u32::from(clock.hour()) * 3600 + u32::from(clock.minute()) * 60 + u32::from(clock.second()))
}

/// A time of day without a date at the start of a text, also in brackets, and the bytes used.
fn clock_alone(text: &str) -> Option<(Time, usize)> {
    let mut cursor = Cursor::new(text);
    let bracket = cursor.eat_any(b"[(").is_some();
    let clock = match cursor.clock() {
        Some(clock) => clock,
        // `9:31AM`, without seconds.
        None => cursor
            .clock_behind_date()
            .filter(|_| cursor.bytes.get(cursor.at.saturating_sub(1)).is_some_and(|b| !b.is_ascii_digit()))?,
    };
    // Either `[09:31:07]` or more inside the bracket, as in `[09:31:07 INF]`.
    if bracket && cursor.peek() != Some(b' ') {
        cursor.eat_any(b"])")?;
    }
    if cursor.peek().is_some_and(|b| !b.is_ascii_whitespace() && !b"|,;".contains(&b)) {
        return None;
    }
    Some((clock, cursor.at))
}

/// A date without a clock at the start of a line, `2026-11-21 backup began`, as the beginning of its day, and the bytes used.
pub fn date_alone(text: &str, context: Context) -> Option<(Timestamp, usize)> {
    let mut c = Cursor::new(text);
    let year = c.digits(4)?;
    let separator = c.eat_any(b"-/.")?;
    let month = c.digits(2)?;
    c.eat(separator)?;
    let day = c.digits(2)?;
    c.peek().is_none_or(|b| matches!(b, b' ' | b'\t' | b':')).then_some(())?;
    Some((moment((year, month, day), Time::MIDNIGHT, None, context)?, c.at))
}

/// `2026-11-21T09:31:07.123Z`, `2026-11-21 09:31:07,123 +0100`, `2026/11/21 09:31:07`, `2026.11.21 …`.
fn numeric_date(text: &str, context: Context) -> Option<(Timestamp, usize)> {
    let mut c = Cursor::new(text);
    let year = c.digits(4)?;
    let separator = c.eat_any(b"-/.")?;
    let month = c.digits(2)?;
    c.eat(separator)?;
    let day = c.digits(2)?;
    // A tab or a comma if date and time are two columns.
    let gap = c.eat_any(b"T t_-\t,|")?;
    // `2026/11/21 - 09:31:07` (gin) and `2026-11-21  9:31:07` (MariaDB).
    let mut dashed = c;
    if gap == b' ' && dashed.eat(b'-').is_some() && dashed.eat(b' ').is_some() {
        c = dashed;
    }
    let padded = matches!(gap, b' ' | b',') && c.eat(b' ').is_some();
    let mut dotted = c;
    let clock = if let Some(clock) = c.clock_of_day().or_else(|| padded.then(|| c.loose_clock()).flatten()) {
        clock
    } else if let Some(clock) = dotted.dotted_clock() {
        c = dotted;
        clock
    } else {
        c.clock_behind_date()?
    };
    let zone = c.zone();
    Some((moment((year, month, day), clock, zone, context)?, c.at))
}

/// `21/Nov/2026:09:31:07 +0000` (access logs) and `21 Nov 2026 09:31:07`.
fn day_month_year(text: &str, context: Context) -> Option<(Timestamp, usize)> {
    let mut c = Cursor::new(text);
    let day = c.digits(2).or_else(|| c.digits(1))?;
    c.eat_any(b"/ -.")?;
    let month = c.month_name()?;
    c.eat_any(b"/ -.")?;
    let mut without_year_ahead = c;
    let Some(year) = c.digits(4) else {
        // `21-Nov 09:31`, without a year.
        let clock = without_year_ahead.clock_behind_date()?;
        let zone = without_year_ahead.zone();
        return Some((without_year(month, day, clock, zone, context)?, without_year_ahead.at));
    };
    c.eat_any(b": T,-\t")?;
    let _second = c.eat_any(b" :");
    let clock = c.clock_behind_date()?;
    let zone = c.zone();
    Some((moment((year, number(month), day), clock, zone, context)?, c.at))
}

/// Whether the day or the month comes first in the dates of a stream that have the year last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateOrder {
    #[default]
    Unknown,
    DayFirst,
    MonthFirst,
}

impl DateOrder {
    /// The order that the first two numbers of dates show: one above 12 is a day, and in a stream of some days the day changes and the month does
    /// not.
    pub fn of(dates: &[(u32, u32)]) -> Self {
        let varies = |number: fn(&(u32, u32)) -> u32| dates.iter().any(|d| Some(number(d)) != dates.first().map(number));
        let (first, second) = (dates.iter().any(|d| d.0 > 12), dates.iter().any(|d| d.1 > 12));
        match (first, second) {
            (true, false) => Self::DayFirst,
            (false, true) => Self::MonthFirst,
            (false, false) if varies(|d| d.0) && !varies(|d| d.1) => Self::DayFirst,
            (false, false) if varies(|d| d.1) && !varies(|d| d.0) => Self::MonthFirst,
            _ => Self::Unknown,
        }
    }
}

/// The first two numbers of a date that has its year last, at the start of a text.
pub(super) fn day_and_month(text: &str) -> Option<(u32, u32)> {
    let mut c = Cursor::new(text.trim_start_matches(['[', '(', '"', '<', ' ']));
    let first = c.one_or_two()?;
    let separator = c.eat_any(b"-./")?;
    let second = c.one_or_two()?;
    c.eat(separator)?;
    c.digits(4).or_else(|| c.digits(2))?;
    Some((first, second))
}

/// `21-11-2026 09:31:07`, `21.11.2026 09:31:07`, `21/11/2026 09:31:07`. The day comes first unless that is not a valid
/// date. With slashes, the month comes first if the clock has AM or PM (`11/5/2026 9:31:07 AM`), or if only that date is in
/// the past.
fn numeric_year_last(text: &str, context: Context) -> Option<(Timestamp, usize)> {
    let mut c = Cursor::new(text);
    let first = c.digits(2).or_else(|| c.digits(1))?;
    let separator = c.eat_any(b"-./")?;
    let second = c.digits(2).or_else(|| c.digits(1).filter(|_| separator == b'/'))?;
    c.eat(separator)?;
    let year = c.digits(4)?;
    let gap = c.eat_any(b"T ,-\t")?;
    let _space = c.eat(b' ');
    let (clock, has_half) = if let Some(plain) = c.clock().or_else(|| c.loose_clock()) {
        let before = c.at;
        (c.apply_am_pm(plain)?, c.at > before)
    } else {
        let clock = c.clock_behind_date()?;
        (clock, c.bytes.get(c.at.saturating_sub(1)).is_some_and(|b| !b.is_ascii_digit()))
    };
    // So does the form `11/21/2026-09:31:07` of network sensors.
    let is_american = (has_half || gap == b'-') && separator == b'/';
    let zone = c.zone();
    let at = |day: u32, month: u32| moment((year, month, day), clock, zone, context);
    let (day_first, month_first) = (at(first, second), at(second, first));
    let tomorrow = context.now + std::time::Duration::from_hours(24);
    let is_past = |at: &Timestamp| *at <= tomorrow;
    let at = match (day_first, month_first) {
        (Some(at), _) if context.order == DateOrder::DayFirst => at,
        (_, Some(at)) if context.order == DateOrder::MonthFirst => at,
        (Some(_), Some(other)) if is_american => other,
        (Some(at), Some(other)) if separator == b'/' && !is_past(&at) && is_past(&other) => other,
        (Some(at), _) => at,
        (None, other) => other?,
    };
    Some((at, c.at))
}

/// `2026-325T09:31:07,123`: an ordinal date, with the day of the year (ISO 8601).
fn day_of_year(text: &str, context: Context) -> Option<(Timestamp, usize)> {
    let mut c = Cursor::new(text);
    let year = c.digits(4)?;
    c.eat_any(b"-./")?;
    let day = c.digits(3)?;
    c.eat_any(b"T t_")?;
    let clock = c.clock()?;
    let zone = c.zone();
    let date = Date::from_ordinal_date(i32::try_from(year).ok()?, u16::try_from(day).ok()?).ok()?;
    Some((assemble(date, clock, zone, context), c.at))
}

/// `2026-Nov-21 09:31:07.123456`: a year, and a month by its name.
fn year_month_day(text: &str, context: Context) -> Option<(Timestamp, usize)> {
    let mut c = Cursor::new(text);
    let year = c.digits(4)?;
    c.eat_any(b"-/ .")?;
    let month = c.month_name()?;
    c.eat_any(b"-/ .")?;
    let day = c.one_or_two()?;
    c.eat_any(b"T ,")?;
    let _space = c.eat(b' ');
    let clock = c.clock_behind_date()?;
    let zone = c.zone();
    Some((moment((year, number(month), day), clock, zone, context)?, c.at))
}

/// `1121/093107.123456`: month and day without a year, and a clock, in digits alone.
fn compact_month_day(text: &str, context: Context) -> Option<(Timestamp, usize)> {
    let mut c = Cursor::new(text);
    let (month, day) = (c.digits(2)?, c.digits(2)?);
    c.eat(b'/')?;
    let (hour, minute, second) = (c.digits(2)?, c.digits(2)?, c.digits(2)?);
    c.peek().is_some_and(|b| b == b'.').then_some(())?;
    let nanos = c.fraction();
    let clock =
        Time::from_hms_nano(u8::try_from(hour).ok()?, u8::try_from(minute).ok()?, u8::try_from(second.min(59)).ok()?, nanos);
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    Some((without_year(month, day, clock.ok()?, None, context)?, c.at))
}

/// `667535a0.149aa435`: Unix seconds and a fraction of nanoseconds in hexadecimal digits, as OpenLDAP writes them. Only near now, because it may
/// be any number.
fn hexadecimal(text: &str, context: Context) -> Option<(Timestamp, usize)> {
    let bytes = text.as_bytes();
    if bytes.get(8) != Some(&b'.') || bytes.get(17).is_some_and(|b| *b != b' ') {
        return None;
    }
    let is_hex = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
    let (secs, nanos) = (text.get(..8).filter(|p| is_hex(p))?, text.get(9..17).filter(|p| is_hex(p))?);
    let secs = i64::from_str_radix(secs, 16).ok()?;
    let nanos = u64::from_str_radix(nanos, 16).ok().filter(|n| *n < 1_000_000_000)?;
    let age = context.now.secs() - secs;
    let is_near = (-86_400..10 * 365 * 86_400).contains(&age);
    is_near.then(|| (Timestamp::from_secs(secs) + std::time::Duration::from_nanos(nanos), 17))
}

/// `@400000006553f2c81a2b3c4d`: TAI64N, the seconds since 1970 plus 2^62 and the nanoseconds in hexadecimal digits, ten seconds ahead of UTC as
/// the programs that write it count (<https://cr.yp.to/libtai/tai64.html>).
fn tai64n(text: &str) -> Option<(Timestamp, usize)> {
    const LABEL: i64 = 1 << 62;
    const AHEAD: i64 = 10;
    let digits = text.strip_prefix('@')?.get(..24).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
    let secs = i64::from_str_radix(digits.get(..16)?, 16).ok()?.checked_sub(LABEL + AHEAD)?;
    let nanos = u64::from_str_radix(digits.get(16..)?, 16).ok().filter(|n| *n < 1_000_000_000)?;
    let is_plausible = (0..4_102_444_800).contains(&secs) && !text.as_bytes().get(25).is_some_and(u8::is_ascii_alphanumeric);
    is_plausible.then(|| (Timestamp::from_secs(secs) + std::time::Duration::from_nanos(nanos), 25))
}

/// `20261121-09:31:07:606`, `20261121-9:3:7`, `20261121 09:31:07`, `20261121T093107`, and `261121 093107` with a two-digit
/// year.
fn compact(text: &str, context: Context) -> Option<(Timestamp, usize)> {
    let mut c = Cursor::new(text);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let year = match digits {
        8 => c.digits(4)?,
        6 => 2000 + c.digits(2)?,
        _ => return None,
    };
    let (month, day) = (c.digits(2)?, c.digits(2)?);
    let gap = c.eat_any(b"-T _.:")?;
    let mut plain = c;
    let _padding = if gap == b' ' { c.eat(b' ') } else { None };
    let clock = if let Some(clock) = c.clock().or_else(|| c.loose_clock()) {
        // The milliseconds may follow after a colon.
        if c.peek() == Some(b':') {
            let mut ahead = c;
            ahead.at += 1;
            let millis = ahead.bytes.get(ahead.at..).map_or(0, |r| r.iter().take_while(|b| b.is_ascii_digit()).count());
            if (1..=3).contains(&millis) {
                let value = ahead.digits(millis)?;
                c = ahead;
                clock.replace_millisecond(u16::try_from(value).ok()?).ok()?
            } else {
                clock
            }
        } else {
            clock
        }
    } else {
        let (h, m, s) = (plain.digits(2)?, plain.digits(2)?, plain.digits(2)?);
        let nanos = plain.fraction();
        c = plain;
        Time::from_hms_nano(u8::try_from(h).ok()?, u8::try_from(m).ok()?, u8::try_from(s.min(59)).ok()?, nanos).ok()?
    };
    if c.peek().is_some_and(|b| b.is_ascii_alphanumeric() && b != b'Z') {
        return None;
    }
    let zone = c.zone();
    Some((moment((year, month, day), clock, zone, context)?, c.at))
}

/// `26/11/21 09:31:07` with the year first, and `11/21/26 9:31:07` with the year last. What is a date and not to come counts, and of several
/// the most recent one.
fn short_year(text: &str, context: Context) -> Option<(Timestamp, usize)> {
    let mut c = Cursor::new(text);
    let is_short = c.bytes.get(1).is_some_and(|b| !b.is_ascii_digit());
    let first = c.one_or_two()?;
    let separator = c.eat_any(b"/-.")?;
    let second = if separator == b'/' { c.one_or_two()? } else { c.digits(2)? };
    c.eat(separator)?;
    let third = c.digits(2)?;
    c.eat_any(b" T")?;
    let mut clock = c;
    let clock = if let Some(found) = c.clock_of_day() {
        found
    } else {
        let found = clock.loose_clock().filter(|_| separator == b'/')?;
        c = clock;
        found
    };
    let clock = c.with_millis(clock);
    let zone = c.zone();
    let at = |year: u32, month: u32, day: u32| moment((2000 + year, month, day), clock, zone, context);
    let year_first = at(first, second, third).filter(|_| !is_short);
    if separator != b'/' {
        return Some((year_first?, c.at));
    }
    let (month_first, day_first) = (at(third, first, second), at(third, second, first));
    let year_last = match context.order {
        DateOrder::DayFirst => day_first.or(month_first),
        _ => month_first.or(day_first),
    };
    let tomorrow = context.now + std::time::Duration::from_hours(24);
    let past = [year_first, year_last].into_iter().flatten().filter(|at| *at <= tomorrow).max();
    Some((past.or(year_first).or(year_last)?, c.at))
}

/// `11-21 09:31:07.123`, `11.21 09:31:07`, `11/21 09:31:07`: month and day without a year.
fn month_day(text: &str, context: Context) -> Option<(Timestamp, usize)> {
    let mut c = Cursor::new(text);
    let month = c.digits(2)?;
    c.eat_any(b"-./")?;
    let day = c.digits(2)?;
    c.eat_any(b" -|")?;
    let clock = c.clock_of_day()?;
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    Some((without_year(month, day, clock, None, context)?, c.at))
}

/// `Nov 21 09:31:07` (syslog), `Sat Nov 21 09:31:07.123 2026` (ctime, Apache's error log).
fn named_date(text: &str, context: Context) -> Option<(Timestamp, usize)> {
    let mut c = Cursor::new(text);
    let mut ahead = c;
    if ahead.month_name().is_none() {
        let weekday = c.bytes.get(..3)?;
        [&b"Mon"[..], b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"].iter().find(|d| weekday.eq_ignore_ascii_case(d))?;
        c.at = 3;
        let _comma = c.eat(b',');
        c.eat(b' ')?;
    }
    let month = c.month_name()?;
    c.eat(b' ')?;
    let _padding = c.eat(b' ');
    let day = c.digits(2).or_else(|| c.digits(1))?;
    // `Nov 21, 2026 9:31:07 AM`, as java.util.logging writes it.
    let mut us = c;
    if us.eat(b',').is_some() {
        us.eat(b' ')?;
        let year = us.digits(4)?;
        us.eat(b' ')?;
        let clock = match us.clock().or_else(|| us.loose_clock()) {
            Some(clock) => us.apply_am_pm(clock)?,
            None => us.clock_behind_date()?,
        };
        let zone = us.zone();
        return Some((moment((year, number(month), day), clock, zone, context)?, us.at));
    }
    c.eat(b' ')?;
    // `Nov 21 2026 09:31:07`, as network devices write it.
    let mut ahead_of_clock = c;
    if let Some(year) = ahead_of_clock.digits(4).filter(|year| (1970..2200).contains(year))
        && ahead_of_clock.eat(b' ').is_some()
        && let Some(clock) = ahead_of_clock.clock_of_day()
    {
        let zone = ahead_of_clock.zone();
        return Some((moment((year, number(month), day), clock, zone, context)?, ahead_of_clock.at));
    }
    let clock = c.clock_of_day()?;
    let mut with_year = c;
    // `Sat Nov 21 09:31:07 CET 2026`, as date(1) writes it.
    let ahead = with_year.zone().filter(|_| with_year.peek() == Some(b' '));
    if ahead.is_none() {
        with_year = c;
    }
    if with_year.eat(b' ').is_some()
        && let Some(year) = with_year.digits(4)
        && !with_year.peek().is_some_and(|b| b.is_ascii_alphanumeric())
        && (1970..2200).contains(&year)
    {
        return Some((moment((year, number(month), day), clock, ahead, context)?, with_year.at));
    }
    let zone = c.zone();
    Some((without_year(month, day, clock, zone, context)?, c.at))
}

/// Unix seconds (10 digits, with an optional fraction) or milliseconds (13 digits), followed by a separator.
fn unix(text: &str, context: Context) -> Option<(Timestamp, usize)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: i64 = text.get(..digits)?.parse().ok()?;
    let at = match digits {
        10 => Timestamp::from_secs(number),
        13 => Timestamp::from_micros(number.checked_mul(1000)?),
        _ => return None,
    };
    let mut c = Cursor { bytes: text.as_bytes(), at: digits };
    let nanos = if digits == 10 { c.fraction() } else { 0 };
    // From 2001 to five years after now; any other number is an ID.
    let latest = context.now.secs().saturating_add(5 * 365 * 86_400);
    if !(1_000_000_000..=latest).contains(&at.secs()) || c.peek().is_some_and(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    Some((at + std::time::Duration::from_nanos(u64::from(nanos)), c.at))
}

/// A Unix time whose unit is inferred from its size: seconds, milliseconds, microseconds or nanoseconds. `None` outside the
/// years 1970 to 2099.
pub fn from_number(number: f64) -> Option<Timestamp> {
    Timestamp::from_epoch(number).filter(|at| (0..4_102_444_800).contains(&at.secs()))
}

/// The level, time and message of a klog or glog line: `E1121 09:31:07.000000    1234 file.go:12] message`.
pub fn klog(text: &str, context: Context) -> Option<(Level, Timestamp, &str)> {
    let (level, at, used) = letter_date(text, context)?;
    let rest = text.get(used..)?;
    let message = rest.find("] ").and_then(|i| rest.get(i + 2..)).unwrap_or(rest);
    Some((level, at, message.trim_start()))
}

/// The level letter and time at the start of a line as klog writes them (`E1121 09:31:07.000000`), and the bytes used.
/// Newer glog (`E20261121 …`) and CockroachDB (`E261121 …`) write the year as well.
pub fn letter_date(text: &str, context: Context) -> Option<(Level, Timestamp, usize)> {
    let mut c = Cursor::new(text);
    let level = match c.eat_any(b"DIWEF")? {
        b'D' => Level::Debug,
        b'I' => Level::Info,
        b'W' => Level::Warn,
        b'E' => Level::Error,
        _ => Level::Fatal,
    };
    let year = match c.bytes.iter().skip(1).take_while(|b| b.is_ascii_digit()).count() {
        8 => c.digits(4),
        6 => c.digits(2).map(|year| 2000 + year),
        _ => None,
    };
    let month = Month::try_from(u8::try_from(c.digits(2)?).ok()?).ok()?;
    let day = c.digits(2)?;
    c.eat(b' ')?;
    let clock = c.clock()?;
    let at = match year {
        Some(year) => moment((year, number(month), day), clock, None, context)?,
        None => without_year(month, day, clock, None, context)?,
    };
    Some((level, at, c.at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_month_passes_the_quick_check() {
        for (number, names) in MONTHS.iter().enumerate() {
            for name in names.split(' ') {
                let text = format!("21 {name} 2026 09:31:07");
                let context = Context::utc(Timestamp::from_secs(1_800_000_000));
                let (at, _) = at_start(&text, context).unwrap_or_else(|| panic!("{text}"));
                assert_eq!(at.datetime().month() as usize, number + 1, "{text}");
            }
        }
    }
}

//! Data types, and which values of one are values of another.

use std::collections::BTreeSet;

use sqlparser::tokenizer::Token;

use super::charset;
use super::tokens::{Read, Tokens};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataType {
    Integer {
        bits: u32,
        unsigned: bool,
    },
    Decimal {
        digits: u32,
        scale: u32,
        unsigned: bool,
    },
    Float {
        double: bool,
        size: Option<(u32, u32)>,
        unsigned: bool,
    },
    Bit(u32),
    Char(u32),
    Varchar(u32),
    /// The most bytes.
    Text(u64),
    Enum(Vec<String>),
    Set(Vec<String>),
    Json,
    Binary(u32),
    Varbinary(u32),
    Blob(u64),
    Date,
    /// With the digits of a second's fraction, as in the two after it.
    Datetime(u32),
    Timestamp(u32),
    Time(u32),
    Year,
    /// Any other, as it is written: spatial types, vectors, UUIDs.
    Other(String),
}

/// The most bytes of TINYTEXT, TEXT, MEDIUMTEXT and LONGTEXT, and of the BLOBs.
const LONG: [u64; 4] = [0xff, 0xffff, 0x00ff_ffff, 0xffff_ffff];

/// Types that are kept as they are written.
const OTHERS: [&str; 12] = [
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geometrycollection",
    "geomcollection",
    "vector",
    "uuid",
    "inet6",
];

impl DataType {
    pub fn read(tokens: &mut Tokens) -> Read<Self> {
        let at_type = tokens.unexpected();
        let written = tokens.name()?.to_lowercase();
        let mut name = written.as_str();
        match name {
            "double" => {
                tokens.takes("PRECISION");
            }
            "char" | "character" => {
                name = if tokens.takes("VARYING") { "varchar" } else { "char" };
            }
            "national" | "nchar" => {
                let varying =
                    tokens.takes_one_of(&["VARCHAR", "CHARACTER VARYING", "CHAR VARYING", "VARYING"]);
                if varying.is_none() {
                    tokens.takes_one_of(&["CHAR", "CHARACTER"]);
                }
                name = if varying.is_some() { "varchar" } else { "char" };
            }
            "nvarchar" => name = "varchar",
            "long" => {
                name = if tokens.takes("VARBINARY") { "mediumblob" } else { "mediumtext" };
                tokens.takes("VARCHAR");
            }
            _ => {}
        }
        if matches!(name, "enum" | "set") {
            let values = values(tokens)?;
            return Ok(if name == "enum" { Self::Enum(values) } else { Self::Set(values) });
        }
        let sizes = sizes(tokens)?;
        let mut unsigned = false;
        while let Some(attribute) = tokens.takes_one_of(&["UNSIGNED", "SIGNED", "ZEROFILL"]) {
            unsigned |= attribute != "SIGNED";
        }
        let first = sizes.first().copied();
        let second = sizes.get(1).copied();
        let integer = |bits| Self::Integer { bits, unsigned };
        let fraction = first.unwrap_or(0);
        let long = |names: [&str; 4]| names.iter().position(|known| *known == name).map(|index| LONG[index]);
        Ok(match name {
            "tinyint" | "bool" | "boolean" | "int1" => integer(8),
            "smallint" | "int2" => integer(16),
            "mediumint" | "int3" | "middleint" => integer(24),
            "int" | "integer" | "int4" => integer(32),
            "bigint" | "int8" => integer(64),
            "serial" => Self::Integer { bits: 64, unsigned: true },
            "decimal" | "dec" | "numeric" | "fixed" => {
                Self::Decimal { digits: first.unwrap_or(10), scale: second.unwrap_or(0), unsigned }
            }
            "float" | "float4" => Self::Float {
                double: second.is_none() && first.is_some_and(|bits| bits > 24),
                size: first.zip(second),
                unsigned,
            },
            "double" | "real" | "float8" => Self::Float { double: true, size: first.zip(second), unsigned },
            "bit" => Self::Bit(first.unwrap_or(1)),
            "char" => Self::Char(first.unwrap_or(1)),
            "varchar" | "varcharacter" => Self::Varchar(first.ok_or(at_type)?),
            "binary" => Self::Binary(first.unwrap_or(1)),
            "varbinary" => Self::Varbinary(first.ok_or(at_type)?),
            "json" => Self::Json,
            "date" => Self::Date,
            "datetime" => Self::Datetime(fraction),
            "timestamp" => Self::Timestamp(fraction),
            "time" => Self::Time(fraction),
            "year" => Self::Year,
            // TEXT(n) and BLOB(n) take the smallest type with room for n.
            "text" if first.is_some() => Self::Text(room(first)),
            "blob" if first.is_some() => Self::Blob(room(first)),
            _ => {
                if let Some(bytes) = long(["tinytext", "text", "mediumtext", "longtext"]) {
                    Self::Text(bytes)
                } else if let Some(bytes) = long(["tinyblob", "blob", "mediumblob", "longblob"]) {
                    Self::Blob(bytes)
                } else if OTHERS.contains(&name) {
                    Self::Other(format!("{name}{sizes:?}"))
                } else {
                    return Err(at_type);
                }
            }
        })
    }

    /// What a client gets: it reads each of these into another type of its own.
    fn class(&self) -> &str {
        match self {
            Self::Integer { .. } => "a whole number",
            Self::Decimal { .. } => "a decimal number",
            Self::Float { .. } => "a floating-point number",
            Self::Bit(_) => "bits",
            Self::Char(_) | Self::Varchar(_) | Self::Text(_) | Self::Enum(_) | Self::Set(_) | Self::Json => {
                "text"
            }
            Self::Binary(_) | Self::Varbinary(_) | Self::Blob(_) => "bytes",
            Self::Date => "a date",
            Self::Datetime(_) | Self::Timestamp(_) => "a date with time",
            Self::Time(_) => "a time",
            Self::Year => "a year",
            Self::Other(written) => written,
        }
    }

    /// Whether values are characters, which have a character set.
    pub fn has_characters(&self) -> bool {
        matches!(self, Self::Char(_) | Self::Varchar(_) | Self::Text(_) | Self::Enum(_) | Self::Set(_))
    }

    /// Whether an INSERT may leave out a NOT NULL column of this type without a default: the first value of an ENUM is
    /// its implicit default (MySQL's manual, The ENUM Type).
    pub fn has_implicit_default(&self) -> bool {
        matches!(self, Self::Enum(_))
    }

    /// What CONVERT TO makes of it when characters take more bytes (MySQL's manual, ALTER TABLE).
    pub fn converted(&mut self, from: &str, to: &str) {
        if let Self::Text(bytes) = self {
            let needed = bytes.saturating_mul(charset::growth(from, to));
            *bytes = LONG.into_iter().find(|room| *room >= needed).unwrap_or(LONG[3]);
        }
    }
}

fn room(bytes: Option<u32>) -> u64 {
    let bytes = u64::from(bytes.unwrap_or_default());
    LONG.into_iter().find(|room| *room >= bytes).unwrap_or(LONG[3])
}

fn values(tokens: &mut Tokens) -> Read<Vec<String>> {
    tokens.expect_token(&Token::LParen)?;
    let mut values = vec![tokens.string()?];
    while tokens.takes_token(&Token::Comma) {
        values.push(tokens.string()?);
    }
    tokens.expect_token(&Token::RParen)?;
    Ok(values)
}

fn sizes(tokens: &mut Tokens) -> Read<Vec<u32>> {
    let mut sizes = Vec::new();
    if tokens.takes_token(&Token::LParen) {
        sizes.push(tokens.number()?);
        while tokens.takes_token(&Token::Comma) {
            sizes.push(tokens.number()?);
        }
        tokens.expect_token(&Token::RParen)?;
    }
    Ok(sizes)
}

/// Why not every value of `from` can be written to a column of `to` and read back as it was; none if it can.
pub fn loss((from, from_charset): (&DataType, &str), (to, to_charset): (&DataType, &str)) -> Option<String> {
    use DataType::{
        Binary, Bit, Blob, Char, Date, Datetime, Decimal, Enum, Float, Integer, Json, Other, Set, Text, Time,
        Timestamp, Varbinary, Varchar, Year,
    };
    if from.class() != to.class() {
        return Some(format!("what was {} is now {}", from.class(), to.class()));
    }
    let fits = |room: bool, what: &str| if room { None } else { Some(what.to_owned()) };
    let growth = charset::growth(from_charset, to_charset);
    match (from, to) {
        (Integer { bits, unsigned }, Integer { bits: to_bits, unsigned: to_unsigned }) => {
            match (unsigned, to_unsigned) {
                (false, true) => Some("a negative number does not fit".into()),
                (true, false) => fits(to_bits > bits, "a large number does not fit"),
                _ => fits(to_bits >= bits, "a large number does not fit"),
            }
        }
        (
            Decimal { digits, scale, unsigned },
            Decimal { digits: to_digits, scale: to_scale, unsigned: to_unsigned },
        ) => {
            let whole = |digits: &u32, scale: &u32| digits.saturating_sub(*scale);
            if !unsigned && *to_unsigned {
                Some("a negative number does not fit".into())
            } else if whole(to_digits, to_scale) < whole(digits, scale) {
                Some("a large number does not fit".into())
            } else {
                fits(to_scale >= scale, "digits behind the point are rounded away")
            }
        }
        (
            Float { double, size, unsigned },
            Float { double: to_double, size: to_size, unsigned: to_unsigned },
        ) => {
            if !unsigned && *to_unsigned {
                return Some("a negative number does not fit".into());
            }
            let sized = match (size, to_size) {
                (_, None) => true,
                (None, Some(_)) => false,
                (Some((digits, scale)), Some((to_digits, to_scale))) => {
                    to_scale >= scale && to_digits.saturating_sub(*to_scale) >= digits.saturating_sub(*scale)
                }
            };
            fits(sized && (*to_double || !double), "a large or precise number does not fit")
        }
        (Bit(bits), Bit(to_bits)) => fits(to_bits >= bits, "a large number does not fit"),
        (Char(length) | Varchar(length), Varchar(to_length)) | (Char(length), Char(to_length)) => {
            fits(to_length >= length, "a longer text does not fit")
        }
        (Varchar(length), Char(to_length)) => {
            let longer =
                if to_length >= length { "blanks at the end are lost" } else { "a longer text does not fit" };
            Some(longer.into())
        }
        (Char(length) | Varchar(length), Text(bytes)) => fits(
            u64::from(*length) * charset::longest_character(to_charset) <= *bytes,
            "a longer text does not fit",
        ),
        (Text(bytes), Text(to_bytes)) => {
            let least = bytes.saturating_mul(growth).min(LONG[3]);
            fits(*to_bytes >= least, "a longer text does not fit")
        }
        (Text(bytes), Char(length) | Varchar(length)) => {
            fits(matches!(to, Varchar(_)) && u64::from(*length) >= *bytes, "a longer text does not fit")
        }
        (Json, Text(bytes)) => fits(*bytes == LONG[3], "a longer document does not fit"),
        (Json, Json) | (Date, Date) | (Year, Year) | (Other(_), Other(_)) => None,
        (_, Json) => Some("text that is not JSON is refused".into()),
        (Enum(values), Enum(to_values)) => {
            let known: BTreeSet<_> = to_values.iter().collect();
            let missing = values.iter().find(|value| !known.contains(value));
            missing.map(|value| format!("'{value}' is no value any more"))
        }
        (Enum(values), Char(length) | Varchar(length)) => {
            let longest = values.iter().map(|value| value.chars().count()).max().unwrap_or_default();
            fits(longest as u64 <= u64::from(*length), "a longer value does not fit")
        }
        (Enum(_), Text(_)) => None,
        (Set(values), Set(to_values)) => {
            let mut rest = to_values.iter();
            let in_order = values.iter().all(|value| rest.any(|other| other == value));
            fits(in_order, "values are missing or stand in another order")
        }
        (Set(values), Char(length) | Varchar(length)) => {
            let longest: usize = values.iter().map(|value| value.chars().count() + 1).sum();
            fits(longest as u64 <= u64::from(*length) + 1, "a longer value does not fit")
        }
        (Set(_), Text(_)) => None,
        (_, Enum(_) | Set(_)) => Some("what is not among the values is refused".into()),
        (Json, _) | (Enum(_) | Set(_) | Char(_) | Varchar(_) | Text(_), _) => {
            Some("a longer text does not fit".into())
        }
        (Binary(length), Binary(to_length)) => fits(to_length == length, "values get another length"),
        (Binary(length) | Varbinary(length), Varbinary(to_length)) => {
            fits(to_length >= length, "a longer value does not fit")
        }
        (Binary(length) | Varbinary(length), Blob(bytes)) => {
            fits(u64::from(*length) <= *bytes, "a longer value does not fit")
        }
        (Varbinary(_), Binary(_)) => Some("values get another length".into()),
        (Blob(bytes), Blob(to_bytes)) => fits(to_bytes >= bytes, "a longer value does not fit"),
        (Blob(bytes), Varbinary(length)) => fits(u64::from(*length) >= *bytes, "a longer value does not fit"),
        (Datetime(fraction), Datetime(to_fraction))
        | (Timestamp(fraction), Timestamp(to_fraction) | Datetime(to_fraction))
        | (Time(fraction), Time(to_fraction)) => {
            fits(to_fraction >= fraction, "fractions of a second are lost")
        }
        (Datetime(_), Timestamp(_)) => Some("a date before 1970 or after 2038 does not fit".into()),
        // Of one class, and so of no two kinds that were not compared above.
        _ => (from != to).then(|| "its values are others".into()),
    }
}

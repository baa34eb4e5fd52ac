//! The functions a template may use: those of Go and the part of sprig that is pure and bounded.

use crate::mcp::template::SyntaxError;

/// What a function works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// The rendering itself.
    Run,
    Logic,
    Texts,
    Lists,
    Numbers,
}

macro_rules! functions {
    ($($group:ident: $($variant:ident $($name:literal)|+),+;)*) => {
        /// A function.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Function {
            $($(#[doc = concat!($($name, " "),+)] $variant,)+)*
        }

        impl Function {
            /// # Errors
            /// There is none of that name.
            pub fn named(name: &str) -> Result<Self, SyntaxError> {
                match name {
                    $($($($name)|+ => Ok(Self::$variant),)+)*
                    other => Err(SyntaxError::Function(other.to_owned())),
                }
            }

            pub fn name(self) -> &'static str {
                match self {
                    $($(Self::$variant => [$($name),+][0],)+)*
                }
            }

            pub fn group(self) -> Group {
                match self {
                    $($(Self::$variant)|+ => Group::$group,)*
                }
            }
        }
    };
}

functions! {
    Run: Gjson "gjson", Now "now", Uuid "uuidv4", RealIp "getRealIP", SocketIp "getSocketIP";
    Logic: And "and", Or "or", Not "not",
        Eq "eq", Ne "ne", Lt "lt", Le "le", Gt "gt", Ge "ge",
        Len "len", Index "index", Slice "slice",
        Print "print", Println "println", Printf "printf",
        UrlQuery "urlquery" | "urlqueryescape", Html "html",
        Default "default", Empty "empty", Coalesce "coalesce", Ternary "ternary";
    Texts: ToJson "toJson" | "toRawJson" | "mustToJson", ToPrettyJson "toPrettyJson",
        FromJson "fromJson" | "mustFromJson", ToString "toString",
        Base64Encode "b64enc", Base64Decode "b64dec",
        Trim "trim", TrimAll "trimAll", TrimPrefix "trimPrefix", TrimSuffix "trimSuffix",
        Upper "upper", Lower "lower", Title "title", Replace "replace", Repeat "repeat",
        Contains "contains", HasPrefix "hasPrefix", HasSuffix "hasSuffix",
        Quote "quote", SingleQuote "squote", Truncate "trunc", Substring "substr", NoSpace "nospace",
        Indent "indent", NewIndent "nindent", Concat "cat";
    Lists: Join "join", Split "splitList" | "split", List "list", First "first", Last "last",
        Rest "rest", Unique "uniq", SortText "sortAlpha", Reverse "reverse", Has "has",
        HasKey "hasKey", Get "get", Keys "keys", Values "values";
    Numbers: Add "add", AddOne "add1", Subtract "sub", Multiply "mul", Divide "div", Modulo "mod",
        Max "max", Min "min", Round "round", Floor "floor", Ceil "ceil",
        Integer "int" | "int64" | "toInt", Float "float64",
        Date "date", DateInZone "dateInZone" | "date_in_zone", UnixEpoch "unixEpoch",
        Sha256 "sha256sum";
}

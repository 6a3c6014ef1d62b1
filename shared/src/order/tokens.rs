//! The words and signs of DDL, one after the other.
//!
//! Only sqlparser's tokenizer is used. Its parser knows less of MySQL's DDL than the clauses need, recurses, and would
//! add half a megabyte to each function; the dialect below is MySQL's without what leads into that parser.

use std::any::{Any, TypeId};

use sqlparser::dialect::{Dialect, MySqlDialect};
use sqlparser::tokenizer::{Token, Tokenizer, Word};

/// Why a statement cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(pub String);

pub type Read<T> = Result<T, Unreadable>;

#[derive(Debug)]
struct Ddl;

impl Dialect for Ddl {
    fn dialect(&self) -> TypeId {
        MySqlDialect {}.type_id()
    }
    fn is_identifier_start(&self, c: char) -> bool {
        MySqlDialect {}.is_identifier_start(c)
    }
    fn is_identifier_part(&self, c: char) -> bool {
        MySqlDialect {}.is_identifier_part(c)
    }
    fn is_delimited_identifier_start(&self, c: char) -> bool {
        MySqlDialect {}.is_delimited_identifier_start(c)
    }
    fn supports_string_literal_backslash_escape(&self) -> bool {
        true
    }
    fn supports_numeric_prefix(&self) -> bool {
        true
    }
    fn supports_multiline_comment_hints(&self) -> bool {
        true
    }
    fn requires_single_line_comment_whitespace(&self) -> bool {
        true
    }
}

#[derive(Debug, Clone)]
struct Spaced {
    token: Token,
    /// Whether blanks or a comment stand before it.
    after_blank: bool,
}

/// A cursor over tokens.
#[derive(Debug, Clone)]
pub struct Tokens {
    tokens: Vec<Spaced>,
    at: usize,
}

impl Tokens {
    pub fn new(sql: &str) -> Read<Self> {
        let mut tokens: Vec<Spaced> = Vec::new();
        let mut after_blank = false;
        let read = Tokenizer::new(&Ddl, sql).with_unescape(false).tokenize();
        for token in read.map_err(|error| Unreadable(error.to_string()))? {
            if matches!(token, Token::Whitespace(_)) {
                after_blank = true;
                continue;
            }
            let word_after_word = matches!(token, Token::Word(_))
                && matches!(tokens.last(), Some(Spaced { token: Token::Word(_), .. }));
            tokens.push(Spaced { token, after_blank: after_blank || word_after_word });
            after_blank = false;
        }
        Ok(Self { tokens, at: 0 })
    }

    pub fn position(&self) -> usize {
        self.at
    }

    /// The text of what was passed since `start`, in one line and without comments.
    pub fn text_since(&self, start: usize) -> String {
        text(&self.tokens[start..self.at])
    }

    fn peek_at(&self, ahead: usize) -> &Token {
        self.tokens.get(self.at + ahead).map_or(&Token::EOF, |spaced| &spaced.token)
    }

    pub fn is_at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    pub fn ends_statement(&self) -> bool {
        matches!(self.peek_at(0), Token::EOF | Token::SemiColon)
    }

    pub fn sees_token(&self, token: &Token) -> bool {
        self.peek_at(0) == token
    }

    pub fn takes_token(&mut self, token: &Token) -> bool {
        let seen = self.sees_token(token);
        self.at += usize::from(seen);
        seen
    }

    pub fn expect_token(&mut self, token: &Token) -> Read<()> {
        if self.takes_token(token) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Whether these words are next, in any case and not in backticks.
    pub fn sees(&self, words: &str) -> bool {
        words.split(' ').enumerate().all(|(ahead, word)| {
            matches!(self.peek_at(ahead), Token::Word(Word { value, quote_style: None, .. })
                if value.eq_ignore_ascii_case(word))
        })
    }

    pub fn takes(&mut self, words: &str) -> bool {
        let seen = self.sees(words);
        if seen {
            self.at += words.split(' ').count();
        }
        seen
    }

    pub fn takes_one_of<'w>(&mut self, choices: &[&'w str]) -> Option<&'w str> {
        choices.iter().copied().find(|words| self.takes(words))
    }

    pub fn expect(&mut self, words: &str) -> Read<()> {
        if self.takes(words) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// That this word was not expected here.
    pub fn unexpected(&self) -> Unreadable {
        Unreadable(match self.peek_at(0) {
            Token::EOF => "it ends early".into(),
            token => format!("`{}` was not expected", crate::text::shorten(&token.to_string(), 60)),
        })
    }

    /// A name, with or without backticks.
    pub fn name(&mut self) -> Read<String> {
        let name = match self.peek_at(0) {
            Token::Word(Word { value, quote_style: None, .. }) => value.clone(),
            Token::Word(Word { value, quote_style: Some('`'), .. }) => value.replace("``", "`"),
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(name)
    }

    /// The name of a table or view, whose database is passed over.
    pub fn table_name(&mut self) -> Read<String> {
        let name = self.name()?;
        if self.takes_token(&Token::Period) { self.name() } else { Ok(name) }
    }

    pub fn names(&mut self) -> Read<Vec<String>> {
        let mut names = vec![self.table_name()?];
        while self.takes_token(&Token::Comma) {
            names.push(self.table_name()?);
        }
        Ok(names)
    }

    /// A string literal, without its quotes and with its escapes.
    pub fn string(&mut self) -> Read<String> {
        let string = match self.peek_at(0) {
            Token::SingleQuotedString(text) => text.clone(),
            Token::DoubleQuotedString(text) => text.replace("\"\"", "\"").replace('\'', "''"),
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(string)
    }

    pub fn number(&mut self) -> Read<u32> {
        let Token::Number(number, _) = self.peek_at(0) else { return Err(self.unexpected()) };
        let number = number.parse().map_err(|_| self.unexpected())?;
        self.at += 1;
        Ok(number)
    }

    /// Passes one token of any kind and returns it in one form.
    pub fn any(&mut self) -> Read<String> {
        if self.is_at_end() {
            return Err(self.unexpected());
        }
        self.at += 1;
        Ok(canonical(&self.tokens[self.at - 1..self.at]))
    }

    /// Passes what stands in parentheses, these included, and returns what is in them in one form.
    pub fn parenthesized(&mut self) -> Read<String> {
        let start = self.at;
        self.expect_token(&Token::LParen)?;
        let mut depth = 1_usize;
        while depth > 0 {
            match self.peek_at(0) {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                Token::EOF | Token::SemiColon => return Err(self.unexpected()),
                _ => {}
            }
            self.at += 1;
        }
        Ok(canonical(&self.tokens[start + 1..self.at - 1]))
    }

    /// A literal, a call or an expression in parentheses, in one form.
    pub fn value(&mut self) -> Read<String> {
        if self.sees_token(&Token::LParen) {
            return self.parenthesized();
        }
        let start = self.at;
        while matches!(self.peek_at(0), Token::Minus | Token::Plus) {
            self.at += 1;
        }
        self.any()?;
        let introduced = matches!(self.peek_at(0), Token::SingleQuotedString(_))
            && matches!(&self.tokens[start].token, Token::Word(word) if word.value.starts_with('_'));
        if introduced {
            self.at += 1;
        }
        if self.sees_token(&Token::LParen) {
            self.parenthesized()?;
        }
        Ok(canonical(&self.tokens[start..self.at]))
    }

    /// Passes the rest of the statement and returns its words and signs, each in one form.
    pub fn rest(&mut self) -> Vec<String> {
        let start = self.at;
        while !self.ends_statement() {
            self.at += 1;
        }
        self.tokens[start..self.at].iter().map(|spaced| canonical(std::slice::from_ref(spaced))).collect()
    }
}

fn text(tokens: &[Spaced]) -> String {
    let mut text = String::new();
    for (index, Spaced { token, after_blank }) in tokens.iter().enumerate() {
        if *after_blank && index > 0 {
            text.push(' ');
        }
        text.push_str(&token.to_string());
    }
    text
}

/// Tokens in one form whatever their spaces, case, backticks and introducers of character sets were.
fn canonical(tokens: &[Spaced]) -> String {
    let mut text = String::new();
    for (index, Spaced { token, .. }) in tokens.iter().enumerate() {
        if index > 0 {
            text.push(' ');
        }
        match token {
            Token::Word(word)
                if word.quote_style.is_none()
                    && word.value.starts_with('_')
                    && matches!(
                        tokens.get(index + 1).map(|next| &next.token),
                        Some(Token::SingleQuotedString(_))
                    ) => {}
            Token::Word(word) => text.push_str(&word.value.to_lowercase()),
            token => text.push_str(&token.to_string()),
        }
    }
    let text = text.trim();
    // One pair of parentheses around all of it says nothing.
    match text.strip_prefix("( ").and_then(|inner| inner.strip_suffix(" )")) {
        Some(inner) if !inner.contains(['(', ')']) => inner.to_owned(),
        _ => text.to_owned(),
    }
}

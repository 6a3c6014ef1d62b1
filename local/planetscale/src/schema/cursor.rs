//! A cursor over the tokens of SQL text.

use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};

use super::{SchemaError, quoted};

/// Words of expressions that are not names of columns or functions.
const EXPRESSION_WORDS: &str = " AND AS BETWEEN BINARY CASE CHAR COLLATE CURRENT_DATE CURRENT_TIMESTAMP DAY DECIMAL \
    DIV ELSE END FALSE HOUR IN INTERVAL IS JSON LIKE MINUTE MOD MONTH NOT NULL OR REGEXP SECOND SIGNED THEN TRUE \
    UNSIGNED WHEN XOR YEAR ";

/// Reads tokens one after the other.
#[derive(Debug)]
pub struct Cursor<'a> {
    text: &'a str,
    tokens: Vec<TokenWithSpan>,
    position: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of `text`.
    pub fn new(text: &'a str) -> Result<Self, SchemaError> {
        let tokens = Tokenizer::new(&MySqlDialect {}, text)
            .tokenize_with_location()
            .map_err(|error| SchemaError::syntax(error.to_string()))?;
        let tokens =
            tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
        Ok(Self { text, tokens, position: 0 })
    }

    pub fn is_at_end(&self) -> bool {
        self.position >= self.tokens.len()
    }

    /// Whether the statement ends here.
    pub fn is_at_statement_end(&self) -> bool {
        self.is_at_end() || *self.peek() == Token::SemiColon
    }

    /// The byte offset of the next token in the text.
    pub fn offset(&self) -> usize {
        let Some(token) = self.tokens.get(self.position) else { return self.text.len() };
        let start = token.span.start;
        let lines = (start.line as usize).saturating_sub(1);
        let line = self.text.split_inclusive('\n').take(lines).map(str::len).sum::<usize>();
        let columns = (start.column as usize).saturating_sub(1);
        let column = self.text[line..].chars().take(columns).map(char::len_utf8).sum::<usize>();
        line + column
    }

    fn peek(&self) -> &Token {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> &Token {
        self.tokens.get(self.position + ahead).map_or(&Token::EOF, |token| &token.token)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.position += 1;
        token
    }

    /// Whether the next words are these, in any case and not in backticks.
    pub fn sees(&self, words: &str) -> bool {
        words.split(' ').enumerate().all(|(ahead, word)| match self.peek_at(ahead) {
            Token::Word(Word { value, quote_style: None, .. }) => value.eq_ignore_ascii_case(word),
            _ => false,
        })
    }

    /// Passes these words if they are next.
    pub fn takes(&mut self, words: &str) -> bool {
        let seen = self.sees(words);
        if seen {
            self.position += words.split(' ').count();
        }
        seen
    }

    /// Passes the first of these that is next.
    pub fn takes_one_of<'w>(&mut self, choices: &[&'w str]) -> Option<&'w str> {
        choices.iter().copied().find(|words| self.takes(words))
    }

    pub fn expect(&mut self, words: &str) -> Result<(), SchemaError> {
        if self.takes(words) { Ok(()) } else { Err(self.expected(words)) }
    }

    /// Whether the next token is this sign.
    pub fn sees_token(&self, token: &Token) -> bool {
        self.peek() == token
    }

    /// Passes this sign if it is next.
    pub fn takes_token(&mut self, token: &Token) -> bool {
        let seen = self.sees_token(token);
        if seen {
            self.position += 1;
        }
        seen
    }

    pub fn expect_token(&mut self, token: &Token) -> Result<(), SchemaError> {
        if self.takes_token(token) { Ok(()) } else { Err(self.expected(&format!("'{token}'"))) }
    }

    /// The error that something else was expected here.
    pub fn expected(&self, what: &str) -> SchemaError {
        let found = match self.peek() {
            Token::EOF => "the end".to_owned(),
            token => format!("'{token}'"),
        };
        let line = self.tokens.get(self.position).or(self.tokens.last()).map_or(1, |t| t.span.start.line);
        SchemaError::syntax(format!("expected {what}, found {found} at line {line}"))
    }

    /// A name, with or without backticks.
    pub fn name(&mut self) -> Result<String, SchemaError> {
        match self.peek() {
            Token::Word(Word { value, quote_style: None | Some('`'), .. }) => {
                let name = value.clone();
                self.position += 1;
                Ok(name)
            }
            _ => Err(self.expected("a name")),
        }
    }

    /// The name of a table, whose database is passed over if it is given.
    pub fn table_name(&mut self) -> Result<String, SchemaError> {
        let name = self.name()?;
        if self.takes_token(&Token::Period) { self.name() } else { Ok(name) }
    }

    /// Names in parentheses.
    pub fn names(&mut self) -> Result<Vec<String>, SchemaError> {
        self.list(Self::name)
    }

    /// A list in parentheses.
    pub fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, SchemaError>,
    ) -> Result<Vec<T>, SchemaError> {
        self.expect_token(&Token::LParen)?;
        let mut items = vec![item(self)?];
        while self.takes_token(&Token::Comma) {
            items.push(item(self)?);
        }
        self.expect_token(&Token::RParen)?;
        Ok(items)
    }

    /// A string literal.
    pub fn string(&mut self) -> Result<String, SchemaError> {
        match self.peek() {
            Token::SingleQuotedString(text) | Token::DoubleQuotedString(text) => {
                let text = text.clone();
                self.position += 1;
                Ok(text)
            }
            _ => Err(self.expected("a string")),
        }
    }

    /// A number as it is written.
    pub fn number(&mut self) -> Result<String, SchemaError> {
        match self.peek() {
            Token::Number(number, _) => {
                let number = number.clone();
                self.position += 1;
                Ok(number)
            }
            _ => Err(self.expected("a number")),
        }
    }

    /// A word, string or number as a plain text.
    pub fn value(&mut self) -> Result<String, SchemaError> {
        self.string().or_else(|_| self.number()).or_else(|_| self.name())
    }

    /// A bit or hexadecimal literal such as `b'0'`.
    pub fn bits(&mut self) -> Option<String> {
        let text = match self.peek() {
            Token::SingleQuotedByteStringLiteral(bits) => format!("b'{bits}'"),
            Token::HexStringLiteral(digits) => format!("x'{digits}'"),
            _ => return None,
        };
        self.position += 1;
        Some(text)
    }

    /// An expression in parentheses, in one form whatever its spaces, case and backticks were.
    pub fn expression(&mut self) -> Result<String, SchemaError> {
        self.canonical_until_closed(self.position)
    }

    /// Whether a function is called here.
    pub fn sees_call(&self) -> bool {
        matches!(self.peek(), Token::Word(_)) && *self.peek_at(1) == Token::LParen
    }

    /// A call of a function, as an expression in parentheses.
    pub fn call(&mut self) -> Result<String, SchemaError> {
        let start = self.position;
        self.name()?;
        Ok(format!("({})", self.canonical_until_closed(start)?))
    }

    /// The expression from `start` to the parenthesis that closes the one here.
    fn canonical_until_closed(&mut self, start: usize) -> Result<String, SchemaError> {
        self.expect_token(&Token::LParen)?;
        let mut depth = 1;
        while depth > 0 {
            match self.next() {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                Token::EOF => return Err(self.expected("')'")),
                _ => {}
            }
        }
        let tokens: Vec<Token> = self.tokens[start..self.position].iter().map(|t| t.token.clone()).collect();
        Parser::new(&MySqlDialect {})
            .with_tokens(tokens.clone())
            .parse_expr()
            .map_err(|error| SchemaError::syntax(format!("in an expression: {error}")))?;
        Ok(canonical(&tokens))
    }

    /// The rest of the statement, in one form.
    pub fn rest(&mut self) -> String {
        let start = self.position;
        while !self.is_at_statement_end() {
            self.position += 1;
        }
        let tokens = &self.tokens[start..self.position];
        tokens.iter().map(|token| token.token.to_string()).collect::<Vec<_>>().join(" ")
    }
}

fn canonical(tokens: &[Token]) -> String {
    let mut text = String::new();
    for (index, token) in tokens.iter().enumerate() {
        if is_introducer(token, tokens.get(index + 1)) {
            continue;
        }
        let before = index.checked_sub(1).map(|before| &tokens[before]);
        let is_call = tokens.get(index + 1) == Some(&Token::LParen);
        let tight = matches!(token, Token::RParen | Token::Comma | Token::Period)
            || matches!(before, None | Some(Token::LParen | Token::Period))
            || (*token == Token::LParen && before.is_some_and(is_function));
        if !tight {
            text.push(' ');
        }
        match token {
            Token::Word(word) if is_operator(word) => text.push_str(&word.value.to_ascii_uppercase()),
            Token::Word(word) if is_call && word.quote_style.is_none() => {
                text.push_str(&word.value.to_ascii_lowercase());
            }
            Token::Word(word) => text.push_str(&quoted(&word.value)),
            token => text.push_str(&token.to_string()),
        }
    }
    text
}

fn is_operator(word: &Word) -> bool {
    word.quote_style.is_none() && EXPRESSION_WORDS.contains(&format!(" {} ", word.value.to_ascii_uppercase()))
}

fn is_function(token: &Token) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && !is_operator(word))
}

/// Whether this is a character set before a string, as in `_utf8mb4'a'`.
fn is_introducer(token: &Token, next: Option<&Token>) -> bool {
    matches!(token, Token::Word(word) if word.value.starts_with('_') && word.quote_style.is_none())
        && matches!(next, Some(Token::SingleQuotedString(_)))
}

//! Looks at the deploy request and says what to do next.

mod handler;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::serve(shared::planetscale::Connection::from_env(), handler::handle).await
}

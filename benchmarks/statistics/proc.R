# pROC as a rival: a process that reads one command a line and answers with one line of JSON.
# load FILE N K: labels (N doubles), then K scores of N doubles each. pair, pairs: processor seconds and z statistics.
suppressMessages(library(pROC))
connection <- file("stdin", open = "r")
seconds <- function(expression) { t <- proc.time(); force(expression); sum((proc.time() - t)[1:2]) }
curves <- function(models) lapply(models, function(k)
  roc(y, scores[[k]], levels = c(0, 1), direction = "<", quiet = TRUE))
compare <- function(models) {
  r <- curves(models)
  z <- c()
  for (i in seq_along(models)) for (j in seq_along(models)) if (i < j)
    z <- c(z, unname(roc.test(r[[i]], r[[j]], method = "delong", paired = TRUE)$statistic))
  z
}
while (length(line <- readLines(connection, n = 1)) > 0) {
  word <- strsplit(line, " ")[[1]]
  if (word[1] == "load") {
    n <- as.integer(word[3]); k <- as.integer(word[4]); input <- file(word[2], "rb")
    y <- readBin(input, "double", n); scores <- lapply(seq_len(k), function(i) readBin(input, "double", n))
    close(input)
    cat(sprintf('{"version": "%s", "r": "%s"}\n', packageVersion("pROC"), getRversion()))
  } else {
    models <- seq_along(scores)
    spent <- seconds(z <- compare(models))
    cat(sprintf('{"seconds": %.6f, "z": [%s]}\n', spent, paste(sprintf("%.17g", z), collapse = ", ")))
  }
  flush(stdout())
}

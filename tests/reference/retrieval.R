# Recall at k over random pools, entropies of grouped answers, from R's hypergeometric distribution and vegan.
# Run in this folder: Rscript retrieval.R   (writes retrieval.json; needs jsonlite and vegan). Cases are stored with
# the results.
suppressPackageStartupMessages({
  library(jsonlite)
  library(vegan)
})
set.seed(20250118)

# b of the M - 1 others are closer, t have the same similarity. In random order 0 .. t of these come first.
expected <- function(b, t, M, pool, k, ties) {
  ahead <- switch(ties, random = b + 0:t, best = b, worst = b + t)
  mean(phyper(k - 1, ahead, M - 1 - ahead, pool - 1))
}
shapes <- list(c(40, 10, 1), c(40, 10, 5), c(40, 40, 5), c(500, 100, 1), c(500, 100, 10), c(500, 20, 20), c(25, 1, 1))
cases <- lapply(shapes, function(s) {
  M <- s[1]; pool <- s[2]; k <- s[3]
  similarity <- rbind(round(rnorm(M), 3), round(rnorm(M)), rep(0.5, M), c(9, rep(0, M - 1)), c(-9, rep(0, M - 1)))
  right <- c(sample(M, 2, replace = TRUE), 3, 1, 1)
  own <- similarity[cbind(seq_along(right), right)]
  b <- rowSums(similarity > own); t <- rowSums(similarity == own) - 1
  values <- lapply(c(random = "random", best = "best", worst = "worst"),
                   function(ties) mapply(expected, b, t, M, pool, k, ties))
  list(pool = unbox(pool), k = unbox(k), similarity = similarity, correct = right - 1, recall = values)
})

answers <- list(
  one = rep(1, 5), different = 1:10, halves = rep(1:2, 4), skewed = c(rep(1, 17), 2, 3, 3), pair = c(1, 2),
  many = sample(12, 60, replace = TRUE), single = 1
)
entropies <- lapply(answers, function(a) {
  counts <- as.vector(table(a))
  list(answers = a, nats = unbox(diversity(counts, "shannon")), bits = unbox(diversity(counts, "shannon", base = 2)))
})

versions <- c(R = R.version.string, vegan = as.character(packageVersion("vegan")))
write_json(
  list(made_by = unbox("tests/reference/retrieval.R"), date = unbox(as.character(Sys.Date())),
       versions = lapply(as.list(versions), unbox), cases = cases, entropies = entropies),
  "retrieval.json", digits = NA
)

# Reference values for tests/stats from R. Run in this folder: Rscript stats.R   (writes stats.json)
# The data are simulated here and stored with the results, so that the tests need neither R nor its generator.
suppressPackageStartupMessages({
  library(pROC)
  library(psych)
  library(vcd)
  library(boot)
  library(jsonlite)
})
set.seed(20240501)

# ROC: tied scores of two models on the same cases, and a second sample for the unpaired test
y <- rep(c(0, 1), c(70, 50))
a <- round(rnorm(120) + y, 1)
b <- round(0.6 * a + rnorm(120) + 0.5 * y, 1)
y2 <- rep(c(0, 1), c(25, 18))
c2 <- round(rnorm(43) + 0.7 * y2, 1)
ra <- roc(y, a, direction = "<", levels = c(0, 1), quiet = TRUE)
rb <- roc(y, b, direction = "<", levels = c(0, 1), quiet = TRUE)
r2 <- roc(y2, c2, direction = "<", levels = c(0, 1), quiet = TRUE)
paired <- roc.test(ra, rb, method = "delong", paired = TRUE)
unpaired <- roc.test(ra, r2, method = "delong", paired = FALSE)
roc_part <- list(
  y = y, a = a, b = b, y2 = y2, c2 = c2,
  auc = c(auc(ra), auc(rb), auc(r2)),
  variance = c(var(ra), var(rb), var(r2)), covariance = cov(ra, rb),
  interval_95 = as.numeric(ci.auc(ra)), interval_90 = as.numeric(ci.auc(ra, conf.level = 0.9)),
  paired_z = unname(paired$statistic), paired_p = paired$p.value,
  unpaired_t = unname(unpaired$statistic), unpaired_p = unpaired$p.value,
  unpaired_df = unname(unpaired$parameter)
)

# Clustered AUC, Obuchowski (1997), written here from the paper's equations with a kernel matrix and loops
cluster <- c(rep(1:30, length.out = 70), rep(16:45, length.out = 50))
obuchowski <- function(y, scores, cluster) {
  K <- ncol(scores)
  pos <- which(y == 1); neg <- which(y == 0)
  M <- length(pos); N <- length(neg)
  V10 <- matrix(0, M, K); V01 <- matrix(0, N, K); theta <- numeric(K)
  for (k in 1:K) {
    kernel <- outer(scores[pos, k], scores[neg, k], function(p, q) (p > q) + 0.5 * (p == q))
    V10[, k] <- rowMeans(kernel); V01[, k] <- colMeans(kernel); theta[k] <- mean(kernel)
  }
  ids <- unique(cluster)
  X <- Y <- matrix(0, length(ids), K); m <- n <- numeric(length(ids))
  for (i in seq_along(ids)) {
    p <- cluster[pos] == ids[i]; q <- cluster[neg] == ids[i]
    m[i] <- sum(p); n[i] <- sum(q)
    X[i, ] <- colSums(V10[p, , drop = FALSE]); Y[i, ] <- colSums(V01[q, , drop = FALSE])
  }
  I10 <- sum(m > 0); I01 <- sum(n > 0); I <- length(ids)
  dX <- X - m %o% theta; dY <- Y - n %o% theta
  S10 <- I10 / ((I10 - 1) * M) * crossprod(dX)
  S01 <- I01 / ((I01 - 1) * N) * crossprod(dY)
  S11 <- I / (I - 1) * crossprod(dX, dY)
  S10 / M + S01 / N + (S11 + t(S11)) / (M * N)
}
clustered <- list(cluster = cluster, covariance = obuchowski(y, cbind(a, b), cluster))

# Agreement of two raters on five ordered categories
r1 <- sample(1:5, 150, replace = TRUE, prob = c(0.3, 0.25, 0.2, 0.15, 0.1))
r2b <- pmin(5, pmax(1, r1 + sample(-2:2, 150, replace = TRUE, prob = c(0.05, 0.15, 0.6, 0.15, 0.05))))
table12 <- table(factor(r1, 1:5), factor(r2b, 1:5))
linear <- Kappa(table12, weights = "Equal-Spacing")
quadratic <- Kappa(table12, weights = "Fleiss-Cohen")
ck <- cohen.kappa(cbind(r1, r2b))
kappa_part <- list(
  a = r1, b = r2b,
  unweighted = unname(linear$Unweighted), linear = unname(linear$Weighted), quadratic = unname(quadratic$Weighted),
  # psych 2.2.9 reports a variance of 0 for the weighted kappa of these data; vcd gives its standard error.
  psych = list(kappa = ck$kappa, weighted = ck$weighted.kappa, var_kappa = ck$var.kappa)
)

# Intraclass correlation
subject <- rnorm(12, sd = 2)
x <- round(outer(subject, c(0, 0.8, -0.5, 0.3), `+`) + matrix(rnorm(48), 12), 2)
icc95 <- ICC(x, lmer = FALSE)$results
icc90 <- ICC(x, lmer = FALSE, alpha = 0.1)$results
icc_part <- list(ratings = x, type = icc95$type, value = icc95$ICC, low = icc95$`lower bound`, high = icc95$`upper bound`,
                 low_90 = icc90$`lower bound`, high_90 = icc90$`upper bound`)

# Bootstrap: boot's own resamples and intervals of a ratio of means
d <- round(cbind(u = rexp(25), v = rexp(25) + 1), 3)
bo <- boot(d, function(d, i) mean(d[i, 1]) / mean(d[i, 2]), R = 1999)
ci <- boot.ci(bo, type = c("basic", "perc", "bca"))
left_out <- sapply(1:25, function(i) mean(d[-i, 1]) / mean(d[-i, 2]))
L <- 24 * (mean(left_out) - left_out)   # Efron 1987; boot::empinf centres on the estimate instead
boot_part <- list(data = d, value = bo$t0, replicates = round(as.numeric(bo$t), 10),
                  basic = ci$basic[4:5], percentile = ci$percent[4:5], bca = ci$bca[4:5],
                  acceleration = sum(L^3) / (6 * sum(L^2)^1.5))

p <- c(0.001, 0.012, 0.03, 0.04, 0.2, 0.8)
proportion_part <- list(
  wilson_7_of_40 = as.numeric(prop.test(7, 40, correct = FALSE)$conf.int),
  wilson_0_of_12 = as.numeric(prop.test(0, 12, correct = FALSE)$conf.int),
  wilson_99_of_100_at_90 = as.numeric(prop.test(99, 100, correct = FALSE, conf.level = 0.9)$conf.int),
  p = p, adjusted = sapply(c(bonferroni = "bonferroni", holm = "holm", hommel = "hommel", hochberg = "hochberg",
                             fdr_bh = "BH", fdr_by = "BY"), function(m) p.adjust(p, m), simplify = FALSE)
)

versions <- c(R = R.version.string, sapply(c("pROC", "psych", "vcd", "boot"), function(p) as.character(packageVersion(p))))
write_json(
  list(made_by = unbox("tests/reference/stats.R"), date = unbox(as.character(Sys.Date())), versions = as.list(versions),
       roc = roc_part, clustered_roc = clustered, kappa = kappa_part, icc = icc_part, bootstrap = boot_part,
       proportions = proportion_part),
  "stats.json", digits = NA, pretty = FALSE, auto_unbox = FALSE
)

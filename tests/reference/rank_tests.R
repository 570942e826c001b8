# Reference values for trend, permutation tests, rank effect sizes, correlation intervals, equivalence and limits of
# agreement, from R. Run in this folder: Rscript rank_tests.R   (writes rank_tests.json; the data are stored with it)
suppressPackageStartupMessages({
  library(coin)
  library(effectsize)
  library(jsonlite)
})
set.seed(20241105)

# Page's trend: 15 blocks of 4 treatments, untied and tied; coin has the normal form of the test
blocks <- matrix(rnorm(60), 15) + rep(c(0, 0.2, 0.4, 0.6), each = 15)
tied <- round(blocks)
page <- function(x) {
  long <- data.frame(y = as.vector(x), treatment = ordered(col(x)), block = factor(row(x)))
  test <- friedman_test(y ~ treatment | block, data = long)
  c(z = unname(statistic(test)), p = pnorm(-abs(unname(statistic(test)))))
}
friedman <- function(x) unname(c(friedman.test(x)$statistic, friedman.test(x)$p.value))
trend_part <- list(blocks = blocks, tied = tied, page = unname(page(blocks)), page_tied = unname(page(tied)),
                   friedman_tied = friedman(tied),
                   kendall_w_tied = effectsize::kendalls_w(tied, ci = NULL)$Kendalls_W)

# Permutation tests, all assignments: two samples and sign flips
a <- round(rnorm(7, 0.8), 3); b <- round(rnorm(6) - 0.7, 3); paired <- round(a - rnorm(7, 0.3), 3)
two <- data.frame(y = c(a, b), g = factor(rep(c("a", "b"), c(7, 6))))
exact <- pvalue(oneway_test(y ~ g, data = two, distribution = "exact"))
flips <- as.matrix(expand.grid(rep(list(c(-1, 1)), 7)))
gaps <- a - paired
sums <- flips %*% gaps
permutation_part <- list(a = a, b = b, paired = paired, two_samples = as.numeric(exact),
                         sign_flips = mean(abs(sums) >= abs(sum(gaps)) - 1e-12))

# Rank effect sizes, with ties
u <- round(rnorm(30, 0.5)); v <- round(rnorm(26)); w <- round(u - rnorm(30, 0.4))
effect_part <- list(u = u, v = v, w = w,
  cliffs_delta = effectsize::cliffs_delta(u, v, ci = NULL)$r_rank_biserial,
  rank_biserial = effectsize::rank_biserial((u - w)[u != w], mu = 0, ci = NULL)$r_rank_biserial,
  d_paired = as.numeric(effectsize::cohens_d(u, w, paired = TRUE)[c("Cohens_d", "CI_low", "CI_high")]),
  g = as.numeric(effectsize::hedges_g(u, v)[c("Hedges_g", "CI_low", "CI_high")]))

# Correlation: Fisher's z with the variances of Bonett and Wright (2000); p of the t and of the z form
z <- qnorm(0.975); n <- length(u)
around <- function(r, variance) tanh(atanh(r) + c(-1, 1) * z * sqrt(variance))
rho <- cor(u, w, method = "spearman"); tau <- cor(u, w, method = "kendall")
correlation_part <- list(
  spearman = c(rho, around(rho, (1 + rho^2 / 2) / (n - 3))),
  spearman_p = suppressWarnings(cor.test(u, w, method = "spearman", exact = FALSE))$p.value,
  kendall = c(tau, around(tau, 0.437 / (n - 4))))

# Equivalence: two one-sided t tests written with R's own t.test
low <- t.test(u, v, mu = -0.8, alternative = "greater")$p.value
high <- t.test(u, v, mu = 0.8, alternative = "less")$p.value
equivalence_part <- list(margin = 0.8, welch = max(low, high), noninferiority = low,
  paired = max(t.test(u, w, paired = TRUE, mu = -0.8, alternative = "greater")$p.value,
               t.test(u, w, paired = TRUE, mu = 0.8, alternative = "less")$p.value))

# Limits of agreement with repeated measurements: variance components from lme's method of moments (aov), balanced,
# and Zou's MOVER limits (2013) written out
subject <- factor(rep(1:9, each = 3)); x <- round(rnorm(9)[subject] + rnorm(27, 1), 3)
table <- anova(lm(x ~ subject))
within <- table["Residuals", "Mean Sq"]; between <- table["subject", "Mean Sq"] / 3
total <- between + within * (1 - 1 / 3)
means <- tapply(x, subject, mean)
part <- function(v, df, p) (v * (1 - df / qchisq(p, df)))^2
upper_total <- total + sqrt(part(between, 8, 0.025) + part(within * 2 / 3, 18, 0.025))
lower_total <- total - sqrt(part(between, 8, 0.975) + part(within * 2 / 3, 18, 0.975))
se2 <- between / 9
near <- sqrt(z^2 * se2 + z^2 * (sqrt(total) - sqrt(lower_total))^2)
far <- sqrt(z^2 * se2 + z^2 * (sqrt(upper_total) - sqrt(total))^2)
bias <- mean(means); top <- bias + z * sqrt(total)
bland_altman_part <- list(x = x, subject = as.integer(subject), sd = sqrt(total),
  bias = c(bias, bias + c(-1, 1) * qt(0.975, 8) * sqrt(se2)), upper = c(top, top - near, top + far))

versions <- c(R = R.version.string, sapply(c("coin", "effectsize"), function(p) as.character(packageVersion(p))))
write_json(
  list(made_by = unbox("tests/reference/rank_tests.R"), date = unbox(as.character(Sys.Date())),
       versions = as.list(versions), trend = trend_part, permutation = permutation_part, effects = effect_part,
       correlation = correlation_part, equivalence = equivalence_part, bland_altman = bland_altman_part),
  "rank_tests.json", digits = NA, pretty = FALSE, auto_unbox = FALSE
)

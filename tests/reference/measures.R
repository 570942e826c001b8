# Reference values for the operating points, calibration, tests and effect sizes in tests/stats, from R.
# Run in this folder: Rscript measures.R   (writes measures.json). The data are simulated here and stored with the
# results, so that the tests need neither R nor its generator.
suppressPackageStartupMessages({
  library(pROC)
  library(vcd)
  library(jsonlite)
})
set.seed(20240611)

# ROC curve with tied scores
y <- rep(c(0, 1), c(60, 40))
score <- round(rnorm(100) + 1.2 * y, 1)
curve <- roc(y, score, direction = "<", levels = c(0, 1), quiet = TRUE)
area <- function(...) as.numeric(auc(curve, ...))
points <- coords(curve, "all", ret = c("threshold", "sensitivity", "specificity"), transpose = FALSE)
youden <- coords(curve, "best", best.method = "youden", ret = c("sensitivity", "specificity"), transpose = FALSE)
roc_part <- list(
  y = y, score = score,
  specificity_80_100 = area(partial.auc = c(1, 0.8)),
  specificity_80_100_mcclish = area(partial.auc = c(1, 0.8), partial.auc.correct = TRUE),
  specificity_55_73_mcclish = area(partial.auc = c(0.73, 0.55), partial.auc.correct = TRUE),
  sensitivity_85_97 = area(partial.auc = c(0.97, 0.85), partial.auc.focus = "sensitivity"),
  sensitivity_85_97_mcclish = area(partial.auc = c(0.97, 0.85), partial.auc.focus = "sensitivity",
                                   partial.auc.correct = TRUE),
  sensitivity_at_90 = max(points$sensitivity[points$specificity >= 0.9]),
  specificity_at_90 = max(points$specificity[points$sensitivity >= 0.9]),
  youden = max(youden$sensitivity + youden$specificity - 1)
)

# Logistic recalibration
prob <- round(plogis(1.5 * score - 0.4), 4)
lp <- qlogis(prob)
slope <- glm(y ~ lp, family = binomial, control = list(epsilon = 1e-14))
large <- glm(y ~ 1, offset = lp, family = binomial, control = list(epsilon = 1e-14))
calibration_part <- list(prob = prob, slope = unname(coef(slope)[2]), slope_intercept = unname(coef(slope)[1]),
                         intercept = unname(coef(large)), brier = mean((prob - y)^2))

# Two samples: untied (exact distributions) and tied
u <- round(rnorm(14, 0.6), 6); v <- round(rnorm(11, -0.7), 6); w <- round(u - rnorm(14, 0.5), 6)
tied_u <- round(rnorm(30, 0.5)); tied_v <- round(rnorm(26)); tied_w <- round(tied_u - rnorm(30, 0.4))
interval <- function(test) list(statistic = unname(test$statistic), p = test$p.value,
                                interval = as.numeric(test$conf.int), estimate = unname(test$estimate))
tests_part <- list(
  u = u, v = v, w = w, tied_u = tied_u, tied_v = tied_v, tied_w = tied_w,
  welch = interval(t.test(u, v)), paired = interval(t.test(u, w, paired = TRUE, conf.level = 0.9)),
  mann_whitney = interval(wilcox.test(u, v, conf.int = TRUE)),
  wilcoxon = interval(wilcox.test(u, w, paired = TRUE, conf.int = TRUE)),
  mann_whitney_tied_p = suppressWarnings(wilcox.test(tied_u, tied_v))$p.value,
  wilcoxon_tied_p = suppressWarnings(wilcox.test(tied_u, tied_w, paired = TRUE))$p.value
)
tests_part$welch$estimate <- mean(u) - mean(v)

one <- rbinom(90, 1, 0.7); two <- ifelse(runif(90) < 0.75, one, rbinom(90, 1, 0.3))
pairs <- table(factor(one, 0:1), factor(two, 0:1))
discordant <- c(pairs[2, 1], pairs[1, 2])
# Newcombe (Statistics in Medicine 1998), paired difference, method 8: score limits and phi without correction
newcombe_paired <- function(t) {
  n <- sum(t); p1 <- sum(t[2, ]) / n; p2 <- sum(t[, 2]) / n
  ci1 <- prop.test(sum(t[2, ]), n, correct = FALSE)$conf.int; ci2 <- prop.test(sum(t[, 2]), n, correct = FALSE)$conf.int
  phi <- (t[2, 2] * t[1, 1] - t[2, 1] * t[1, 2]) / sqrt(prod(rowSums(t)) * prod(colSums(t)))
  d1 <- p1 - ci1[1]; e1 <- ci1[2] - p1; d2 <- p2 - ci2[1]; e2 <- ci2[2] - p2
  c(p1 - p2 - sqrt(d1^2 - 2 * phi * d1 * e2 + e2^2), p1 - p2 + sqrt(e1^2 - 2 * phi * e1 * d2 + d2^2))
}
table22 <- matrix(c(12, 5, 6, 17), 2, byrow = TRUE)   # rows: exposed yes, no; columns: outcome yes, no
exact <- fisher.test(table22)
log_odds <- vcd::loddsratio(table22)
risk <- function(t, side) {                             # score interval of one row
  as.numeric(prop.test(t[side, 1], sum(t[side, ]), correct = FALSE)$conf.int)
}
r1 <- 12 / 17; r2 <- 6 / 23; i1 <- risk(table22, 1); i2 <- risk(table22, 2)
binary_part <- list(
  one = one, two = two,
  mcnemar = interval(mcnemar.test(pairs, correct = FALSE)), mcnemar_exact_p = binom.test(discordant[1], sum(discordant))$p.value,
  newcombe_paired = newcombe_paired(pairs),
  table = table22, fisher = interval(exact),
  odds_ratio = exp(unname(coef(log_odds))), odds_ratio_interval = exp(as.numeric(confint(log_odds))),
  log_risk_ratio_se = sqrt(1 / 12 - 1 / 17 + 1 / 6 - 1 / 23),
  newcombe_unpaired = c(r1 - r2 - sqrt((r1 - i1[1])^2 + (i2[2] - r2)^2), r1 - r2 + sqrt((i1[2] - r1)^2 + (r2 - i2[1])^2))
)

blocks <- matrix(round(rnorm(40) + rep(c(0, 0.3, 0.6, 1), each = 10), 1), 10)
fr <- friedman.test(blocks)
kendall <- suppressWarnings(cor.test(tied_u, tied_w, method = "kendall"))
pearson <- cor.test(u, w)
correlation_part <- list(
  blocks = blocks, friedman = c(unname(fr$statistic), fr$p.value),
  pearson = interval(pearson), spearman = cor(tied_u, tied_w, method = "spearman"),
  kendall = interval(kendall)
)

# Standardised mean difference with noncentral t limits (Steiger & Fouladi 1997)
n1 <- length(u); n2 <- length(v)
pooled <- sqrt(((n1 - 1) * var(u) + (n2 - 1) * var(v)) / (n1 + n2 - 2))
d <- (mean(u) - mean(v)) / pooled
scale <- sqrt(1 / n1 + 1 / n2)
limit <- function(p) uniroot(function(ncp) pt(d / scale, n1 + n2 - 2, ncp) - p, c(-10, 15), tol = 1e-12)$root * scale
df <- n1 + n2 - 2
effect_part <- list(d = d, d_interval = c(limit(0.975), limit(0.025)),
                    hedges_factor = exp(lgamma(df / 2) - lgamma((df - 1) / 2)) / sqrt(df / 2))

versions <- c(R = R.version.string, sapply(c("pROC", "vcd"), function(p) as.character(packageVersion(p))))
write_json(
  list(made_by = unbox("tests/reference/measures.R"), date = unbox(as.character(Sys.Date())), versions = as.list(versions),
       roc = roc_part, calibration = calibration_part, tests = tests_part, binary = binary_part,
       correlation = correlation_part, effects = effect_part),
  "measures.json", digits = NA, pretty = FALSE, auto_unbox = FALSE
)

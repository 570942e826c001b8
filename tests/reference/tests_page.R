# Independent numbers for the handbook page on tests and multiplicity, from R, without any code of medrepro.
# Run in this folder:  Rscript tests_page.R SKLEARN_DATA FILMS      (writes tests_page.json)
# SKLEARN_DATA: folder sklearn/datasets/data of scikit-learn; FILMS: Data_Entry_2017_v2020.csv.gz of NIH ChestX-ray14.
suppressPackageStartupMessages({
  library(coin)
  library(jsonlite)
})
arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[1]
patients <- read.table(gzfile(file.path(folder, "diabetes_data_raw.csv.gz")),
                       col.names = c("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"))
progression <- scan(gzfile(file.path(folder, "diabetes_target.csv.gz")), quiet = TRUE)
cancer <- read.csv(file.path(folder, "breast_cancer.csv"), header = FALSE, skip = 1)
malignant <- cancer[, 31] == 0
second <- patients$sex == 2
z <- qnorm(0.975)

# 1, 6: two groups
contrasts <- list(
  "nuclear texture, malignant minus benign" = list(cancer[, 2], malignant),
  "nuclear smoothness, malignant minus benign" = list(cancer[, 5], malignant),
  "blood pressure, group 2 minus 1" = list(patients$bp, second),
  "body mass index, group 2 minus 1" = list(patients$bmi, second),
  "progression, group 2 minus 1" = list(progression, second),
  "nuclear fractal dimension, malignant minus benign" = list(cancer[, 10], malignant)
)
two <- lapply(contrasts, function(x) {
  a <- x[[1]][x[[2]]]; b <- x[[1]][!x[[2]]]; n1 <- length(a); n2 <- length(b)
  t <- t.test(a, b)
  pooled <- sqrt(((n1 - 1) * var(a) + (n2 - 1) * var(b)) / (n1 + n2 - 2)); scale <- sqrt(1 / n1 + 1 / n2)
  d <- (mean(a) - mean(b)) / pooled
  limit <- function(p) uniroot(function(ncp) pt(d / scale, n1 + n2 - 2, ncp) - p, c(-40, 40), tol = 1e-10)$root * scale
  sd_all <- sd(x[[1]])
  low <- t.test(a / sd_all, b / sd_all, mu = -0.2, alternative = "greater")$p.value
  high <- t.test(a / sd_all, b / sd_all, mu = 0.2, alternative = "less")$p.value
  list(difference = c(mean(a) - mean(b), t$conf.int), p_welch = t$p.value,
       p_mann_whitney = wilcox.test(a, b, exact = FALSE)$p.value, d = c(d, limit(0.975), limit(0.025)),
       delta = mean(sign(outer(a, b, "-"))),
       scaled_90 = c((mean(a) - mean(b)) / sd_all, t.test(a, b, conf.level = 0.9)$conf.int / sd_all),
       p_equivalence = max(low, high))
})

# 2: shares
obese <- patients$bmi >= 30; severe <- progression > 200
counts <- table(factor(!obese, c(FALSE, TRUE)), factor(!severe, c(FALSE, TRUE)))
wilson <- function(x, n, level = 0.95) as.numeric(prop.test(x, n, correct = FALSE, conf.level = level)$conf.int)
newcombe <- function(x1, n1, x2, n2) {
  p1 <- x1 / n1; p2 <- x2 / n2; i1 <- wilson(x1, n1); i2 <- wilson(x2, n2)
  c(p1 - p2, p1 - p2 - sqrt((p1 - i1[1])^2 + (i2[2] - p2)^2), p1 - p2 + sqrt((i1[2] - p1)^2 + (p2 - i2[1])^2))
}
k <- as.numeric(counts); n1 <- k[1] + k[3]; n2 <- k[2] + k[4]
risk <- (k[1] / n1) / (k[2] / n2); odds <- k[1] * k[4] / (k[2] * k[3])
fisher <- fisher.test(counts)
yesno <- list(
  counts = k,
  risk_difference = newcombe(k[1], n1, k[2], n2),
  risk_ratio = risk * exp(c(0, -1, 1) * z * sqrt(1 / k[1] - 1 / n1 + 1 / k[2] - 1 / n2)),
  odds_ratio = odds * exp(c(0, -1, 1) * z * sqrt(sum(1 / k))),
  conditional = c(unname(fisher$estimate), fisher$conf.int), p_fisher = fisher$p.value
)

# 3: two models on the same cases
judged <- function(columns) {
  data <- data.frame(y = malignant, scale(cancer[, columns, drop = FALSE]))
  train <- seq_len(nrow(data)) %% 2 == 1
  fit <- glm(y ~ ., binomial, data[train, ], control = list(epsilon = 1e-14, maxit = 100))
  as.integer((predict(fit, data[!train, ]) > 0) == malignant[!train])
}
full <- judged(c(1, 2, 5)); small <- judged(1)
pairs <- table(factor(full, 0:1), factor(small, 0:1)); n <- sum(pairs)
phi <- (pairs[2, 2] * pairs[1, 1] - pairs[2, 1] * pairs[1, 2]) / sqrt(prod(rowSums(pairs)) * prod(colSums(pairs)))
p1 <- mean(full); p2 <- mean(small); i1 <- wilson(sum(full), n); i2 <- wilson(sum(small), n)
d1 <- p1 - i1[1]; e1 <- i1[2] - p1; d2 <- p2 - i2[1]; e2 <- i2[2] - p2
discordant <- c(pairs[2, 1], pairs[1, 2])
absolute_error <- function(columns, n_train = 221) {
  even <- seq(1, 442, 2)[seq_len(n_train)]; odd <- seq(2, 442, 2)
  fit <- lm(progression[even] ~ ., patients[even, columns, drop = FALSE])
  abs(predict(fit, patients[odd, columns, drop = FALSE]) - progression[odd])
}
one <- absolute_error("bmi"); three <- absolute_error(c("bmi", "bp", "s5"))
t <- t.test(one, three, paired = TRUE); w <- wilcox.test(one, three, paired = TRUE, conf.int = TRUE)
set.seed(1)
gaps <- one - three
flips <- replicate(20000, abs(mean(gaps * sample(c(-1, 1), length(gaps), TRUE))))
ranks <- rank(abs(gaps))
paired <- list(
  mcnemar = c(p1 - p2, p1 - p2 - sqrt(d1^2 - 2 * phi * d1 * e2 + e2^2), p1 - p2 + sqrt(e1^2 - 2 * phi * e1 * d2 + d2^2)),
  discordant = discordant,
  p_mcnemar = if (sum(discordant) < 25) binom.test(discordant[1], sum(discordant))$p.value else
    mcnemar.test(pairs, correct = FALSE)$p.value,
  two_groups = newcombe(sum(full), n, sum(small), n),
  p_two_groups = fisher.test(rbind(c(sum(full), n - sum(full)), c(sum(small), n - sum(small))))$p.value,
  t = c(unname(t$estimate), t$conf.int), p_t = t$p.value,
  wilcoxon = c(unname(w$estimate), w$conf.int), p_wilcoxon = w$p.value,
  rank_biserial = sum(ranks * sign(gaps)) / sum(ranks),
  d = mean(gaps) / sd(gaps), p_flips = mean(flips >= abs(mean(gaps)))
)

# 4: blocks
errors <- sapply(c(20, 40, 80, 160), function(size) absolute_error(names(patients), size))
page_p <- function(x) {
  long <- data.frame(y = as.vector(x), treatment = ordered(col(x)), block = factor(row(x)))
  pnorm(-unname(statistic(friedman_test(y ~ treatment | block, data = long))))
}
ranked <- t(apply(-errors, 1, rank))
friedman <- friedman.test(errors)
blocks <- list(means = colMeans(errors), friedman = unname(c(friedman$statistic, friedman$p.value)),
               w = unname(friedman$statistic) / (nrow(errors) * 3), page_l = sum(ranked %*% 1:4),
               page = c(page_p(-errors[1:40, ]), page_p(-round(errors[1:40, ] / 50))))

# 5: correlation
correlation <- lapply(patients[c("bmi", "bp", "s3", "age")], function(x) {
  n <- length(x); around <- function(r, v) tanh(atanh(r) + c(0, -1, 1) * z * sqrt(v))
  rho <- cor(x, progression, method = "spearman"); tau <- cor(x, progression, method = "kendall")
  list(pearson = unname(c(cor(x, progression), cor.test(x, progression)$conf.int)),
       spearman = around(rho, (1 + rho^2 / 2) / (n - 3)), kendall = around(tau, 0.437 / (n - 4)))
})

# 7: fourteen findings, four age bands, first film of each patient
films <- read.csv(gzfile(arguments[2]), check.names = FALSE)
films <- films[order(films[["Patient ID"]], films[["Follow-up #"]]), ]
films <- films[!duplicated(films[["Patient ID"]]), ]
findings <- c("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Effusion", "Emphysema", "Fibrosis", "Hernia",
              "Infiltration", "Mass", "Nodule", "Pleural_Thickening", "Pneumonia", "Pneumothorax")
band <- cut(films[["Patient Age"]], c(0, 30, 45, 60, 120), right = FALSE,
            labels = c("under 30", "30 to 44", "45 to 59", "60 and over"))
woman <- films[["Patient Gender"]] == "F"
labels <- strsplit(films[["Finding Labels"]], "|", fixed = TRUE)
many <- do.call(rbind, lapply(findings, function(finding) {
  has <- vapply(labels, function(x) finding %in% x, TRUE)
  do.call(rbind, lapply(levels(band), function(b) {
    w <- has[band == b & woman]; m <- has[band == b & !woman]
    found <- newcombe(sum(w), length(w), sum(m), length(m))
    data.frame(row = paste0(tolower(gsub("_", " ", finding)), ", ", b), value = found[1], low = found[2], high = found[3],
               p = fisher.test(rbind(c(sum(w), sum(!w)), c(sum(m), sum(!m))))$p.value)
  }))
}))
adjusted <- lapply(c(Bonferroni = "bonferroni", Holm = "holm", BH = "BH", BY = "BY"), function(m) p.adjust(many$p, m))
versions <- c(R = R.version.string, coin = as.character(packageVersion("coin")))
write_json(list(made_by = unbox("tests/reference/tests_page.R"), date = unbox(as.character(Sys.Date())),
                versions = as.list(versions), two = two, yesno = yesno, paired = paired, blocks = blocks,
                correlation = correlation, many = as.list(many), adjusted = adjusted),
           "tests_page.json", digits = NA, pretty = FALSE, auto_unbox = FALSE)

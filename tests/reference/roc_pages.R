# Numbers of the handbook pages `roc` and `resampling`, computed by R from the tables that roc_pages_data.py writes.
#   python roc_pages_data.py FOLDER && Rscript roc_pages.R FOLDER      (writes roc_pages.json beside this script)
# AUROC, DeLong and partial areas: pROC. Logistic models: glm. Bootstrap: boot. Obuchowski's clustered covariance,
# average precision, Satterthwaite's interval: written here from their definitions.
suppressPackageStartupMessages({
  library(pROC)
  library(boot)
  library(jsonlite)
})
folder <- commandArgs(TRUE)[1]
script <- sub("--file=", "", grep("--file=", commandArgs(FALSE), value = TRUE))
z <- qnorm(0.975)

curve <- function(y, s) roc(y, s, direction = "<", levels = c(0, 1), quiet = TRUE)
area <- function(y, s) as.numeric(auc(curve(y, s)))
average_precision <- function(y, s) {
  cuts <- sort(unique(s), decreasing = TRUE)
  hits <- sapply(cuts, function(c) sum(y[s >= c])); called <- sapply(cuts, function(c) sum(s >= c))
  sum(diff(c(0, hits)) / sum(y) * hits / called)
}
obuchowski <- function(y, scores, cluster) {  # scores: one column a model
  pos <- which(y == 1); neg <- which(y == 0); M <- length(pos); N <- length(neg); ids <- unique(cluster)
  X <- Y <- matrix(0, length(ids), ncol(scores)); theta <- numeric(ncol(scores))
  for (k in seq_len(ncol(scores))) {
    kernel <- outer(scores[pos, k], scores[neg, k], function(p, q) (p > q) + 0.5 * (p == q))
    theta[k] <- mean(kernel)
    X[, k] <- sapply(ids, function(i) sum(rowMeans(kernel)[cluster[pos] == i] - theta[k]))
    Y[, k] <- sapply(ids, function(i) sum(colMeans(kernel)[cluster[neg] == i] - theta[k]))
  }
  I10 <- length(unique(cluster[pos])); I01 <- length(unique(cluster[neg])); I <- length(ids)
  S11 <- I / (I - 1) * crossprod(X, Y)
  list(auc = theta, cov = I10 / (I10 - 1) * crossprod(X) / M^2 + I01 / (I01 - 1) * crossprod(Y) / N^2 +
    (S11 + t(S11)) / (M * N))
}
wald <- function(value, variance) c(value, value - z * sqrt(variance), value + z * sqrt(variance))
clusters_boot <- function(cluster, statistic, R) {  # statistic(rows); whole clusters are drawn
  rows <- split(seq_along(cluster), cluster)
  boot(seq_along(rows), function(ids, i) statistic(unlist(rows[ids[i]], use.names = FALSE)), R = R)
}

# ------------------------------------------------------------------ page roc
d <- read.csv(file.path(folder, "roc.csv"))
test <- d[d$part == 2, ]; validation <- d[d$part == 1, ]
fit <- glm(y ~ log(diameter) + spiculation + lobulation + margin + texture + sphericity, binomial, d[d$part == 0, ],
  control = glm.control(epsilon = 1e-14, maxit = 100))
p_all <- predict(fit, d, type = "response"); p <- p_all[d$part == 2]
scores <- cbind(p, test$diameter, test$malignancy, test$spiculation)
ob <- obuchowski(test$y, scores, test$patient)
pairs <- combn(4, 2)
gap <- function(i, j) {
  difference <- ob$auc[i] - ob$auc[j]
  variance <- ob$cov[i, i] + ob$cov[j, j] - 2 * ob$cov[i, j]
  c(wald(difference, variance), difference / sqrt(variance))
}
all_scores <- list(diameter = d$diameter, `malignancy grade` = d$malignancy, `spiculation grade` = d$spiculation)
set.seed(1)
clustered <- lapply(all_scores, function(s) {
  whole <- obuchowski(d$y, matrix(s), d$patient)
  list(naive = as.numeric(ci.auc(curve(d$y, s)))[c(2, 1, 3)], patients = wald(whole$auc, whole$cov[1, 1]))
})
labels <- c("malignancy", "spiculation", "lobulation", "subtlety")
macro <- function(rows) sapply(labels, function(l) area(d[rows, paste0("label_", l)], d[rows, l]))
macro_boot <- clusters_boot(d$patient, function(rows) mean(macro(rows)), 400)
threshold <- function(s) {  # highest sensitivity among thresholds with specificity >= 0.9, of equal ones the highest
  cuts <- sort(unique(s[d$part == 1]), decreasing = TRUE); v <- s[d$part == 1]
  sens <- sapply(cuts, function(c) mean(v[validation$y == 1] >= c))
  spec <- sapply(cuts, function(c) mean(v[validation$y == 0] < c))
  cut <- cuts[which.max(ifelse(spec >= 0.9 - 1e-12, sens, -1))]
  u <- s[d$part == 2]
  c(cut, mean(u[test$y == 1] >= cut), mean(u[test$y == 0] < cut), mean(test$y[u >= cut]))
}
partial <- function(s) as.numeric(auc(curve(test$y, s), partial.auc = c(1, 0.9), partial.auc.correct = TRUE))
point <- function(s) {
  points <- sapply(sort(unique(s)), function(c) c(mean(s[test$y == 1] >= c), mean(s[test$y == 0] < c)))
  max(points[1, points[2, ] >= 0.9 - 1e-12])
}
bin <- pmin(floor(p * 10), 9)
roc_page <- list(
  counts = lapply(split(d, d$part), function(x) c(length(unique(x$patient)), nrow(x), sum(x$y))),
  auroc = lapply(1:4, function(k) wald(ob$auc[k], ob$cov[k, k])),
  logit = lapply(1:4, function(k) {
    a <- ob$auc[k]; half <- z * sqrt(ob$cov[k, k]) / (a * (1 - a)); c(a, plogis(qlogis(a) + c(-half, half)))
  }),
  average_precision = sapply(1:4, function(k) average_precision(test$y, scores[, k])),
  pairs = lapply(1:6, function(k) gap(pairs[1, k], pairs[2, k])),
  clustered = clustered,
  labels = as.list(macro(seq_len(nrow(d)))),
  macro = c(mean(macro(seq_len(nrow(d)))), quantile(macro_boot$t, c(0.025, 0.975), names = FALSE)),
  threshold = list(model = threshold(p_all), diameter = threshold(d$diameter)),
  partial = c(partial(p), partial(test$diameter)), point = c(point(p), point(test$diameter)),
  brier = mean((p - test$y)^2), brier_share = mean((mean(d$y[d$part == 0]) - test$y)^2),
  ece = sum(sapply(split(seq_along(p), bin), function(i) abs(sum(p[i]) - sum(test$y[i])))) / length(p),
  intercept = unname(coef(glm(test$y ~ 1, binomial, offset = qlogis(p)))),
  slope = unname(coef(glm(test$y ~ qlogis(p), binomial))[2])
)

# ------------------------------------------------------------------ page resampling
m <- read.csv(file.path(folder, "masses.csv")); s <- m[m$small == 1, ]
plain <- function(x) {
  r <- curve(x$y, x$mean_concave_points); a <- as.numeric(auc(r)); se <- sqrt(var(r)); half <- z * se / (a * (1 - a))
  list(delong = as.numeric(ci.auc(r))[c(2, 1, 3)], logit = c(a, plogis(qlogis(a) + c(-half, half))))
}
set.seed(2)
drawn <- boot(s, function(x, i) area(x$y[i], x$mean_concave_points[i]), R = 4000)
ends <- boot.ci(drawn, type = c("perc", "basic", "norm", "bca"))
two <- boot(s, function(x, i) area(x$y[i], x$mean_compactness[i]) - area(x$y[i], x$mean_symmetry[i]), R = 20000)
gaps <- two$t[, 1]; found <- two$t0
f <- read.csv(file.path(folder, "forests.csv"))
two_level <- function(a, b = NULL) {  # columns of f: trainings of one method, or of two, paired
  rocs <- lapply(a, function(k) curve(f$y, f[[k]])); others <- lapply(b, function(k) curve(f$y, f[[k]]))
  value <- sapply(rocs, function(r) as.numeric(auc(r))) - if (is.null(b)) 0 else sapply(others, function(r) as.numeric(auc(r)))
  S <- length(a); C <- matrix(0, S, S)
  for (i in 1:S) for (j in 1:S) {
    C[i, j] <- cov(rocs[[i]], rocs[[j]])
    if (!is.null(b)) C[i, j] <- C[i, j] + cov(others[[i]], others[[j]]) - cov(rocs[[i]], others[[j]]) - cov(others[[i]], rocs[[j]])
  }
  patients <- mean(C); particular <- (mean(diag(C)) - patients) * S / (S - 1)
  variance <- patients + max(var(value) - particular, 0) / S
  df <- variance^2 / ((var(value) / S)^2 / (S - 1) + patients^2 / (nrow(f) - 1))
  half <- c(0, -1, 1) * qt(0.975, df) * sqrt(variance); a <- mean(value)
  if (is.null(b)) plogis(qlogis(a) + half / (a * (1 - a))) else a + half
}
few <- paste0("f0_", 0:4); many <- paste0("f1_", 0:4)
paired <- roc.test(curve(s$y, s$mean_compactness), curve(s$y, s$mean_symmetry), method = "delong", paired = TRUE)
resampling_page <- list(
  small = plain(s), all = plain(m),
  boot = list(percentile = ends$percent[4:5], basic = ends$basic[4:5], normal = ends$normal[2:3], bca = ends$bca[4:5]),
  auroc = sapply(c("mean_smoothness", "mean_symmetry", "mean_texture"), function(k) area(m$y, m[[k]])),
  average_precision = sapply(c("mean_smoothness", "mean_symmetry", "mean_texture"), function(k) average_precision(m$y, m[[k]])),
  p = list(
    `share, one side` = min(mean(gaps <= 0), mean(gaps >= 0)),
    `share, both sides` = 2 * min(mean(gaps <= 0), mean(gaps >= 0)),
    `centred on the null` = mean(abs(gaps - found) >= abs(found)), DeLong = paired$p.value
  ),
  two_level = list(`3 trees` = two_level(few), `30 trees` = two_level(many), `30 - 3 trees` = two_level(many, few)),
  one_training = wald(area(f$y, f$f0_0), var(curve(f$y, f$f0_0)))
)
versions <- list(R = R.version.string,
  pROC = as.character(packageVersion("pROC")), boot = as.character(packageVersion("boot")))
write_json(list(made_by = "tests/reference/roc_pages.R", date = as.character(Sys.Date()), versions = versions,
  roc = roc_page, resampling = resampling_page),
  file.path(dirname(script), "roc_pages.json"), digits = 12, auto_unbox = TRUE, pretty = TRUE)

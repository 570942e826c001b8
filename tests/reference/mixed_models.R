# Reference values for tests/stats/test_mixed_models.py from lme4, lmerTest, glmmTMB and emmeans.
# Run in this folder: Rscript mixed_models.R   (writes mixed_models.json)
# Packages on Debian: r-cran-lme4 r-cran-lmertest r-cran-glmmtmb r-cran-emmeans r-cran-jsonlite
# The data are simulated here and stored with the results, so that the tests need neither R nor its generator.
suppressPackageStartupMessages({
  library(lme4)
  library(lmerTest)
  library(glmmTMB)
  library(emmeans)
  library(jsonlite)
})
emm_options(lmer.df = "satterthwaite", msg.interaction = FALSE, msg.nesting = FALSE)
set.seed(20261124)

# Readers of two grades read the same cases in three modes; one reading in ten is lost, so that nothing is balanced.
d <- expand.grid(mode = c("FT", "SR", "AI"), case = 1:30, reader = 1:16)
d$mode <- factor(d$mode, levels = c("FT", "SR", "AI"))
d$grade <- factor(ifelse(d$reader <= 8, "novice", "expert"), levels = c("novice", "expert"))
d$size <- round(rnorm(30), 2)[d$case]
n <- nrow(d)
by_reader <- matrix(rnorm(16 * 3), 16) %*% chol(matrix(c(.3, .05, 0, .05, .5, .15, 0, .15, .5), 3))
eta <- 0.8 + 0.3 * d$size + c(0, -0.4, 0.5)[d$mode] + by_reader[d$reader, 1] + rnorm(30, 0, 0.6)[d$case] +
  ifelse(d$mode == "SR", by_reader[d$reader, 2], 0) + ifelse(d$mode == "AI", by_reader[d$reader, 3], 0)
d$score <- round(eta + rnorm(n, 0, 0.7), 4)
d$time <- round(exp(eta + rnorm(n, 0, 0.5)), 4)
d$duration <- round(rgamma(n, shape = 3, rate = 3 / exp(eta)), 4)
d$correct <- rbinom(n, 1, plogis(2 * (eta - 0.8)))
d$findings <- rpois(n, exp(eta))
d$saccades <- rnbinom(n, size = 2, mu = exp(eta))
d$minutes <- round(runif(n, 1, 4), 2)
d <- d[sort(sample(n, round(0.9 * n))), ]
stopifnot(all(d$duration > 0), all(d$time > 0))

random <- c(
  one = "(1 | reader)", crossed = "(1 | reader) + (1 | case)", slope = "(1 + mode | reader) + (1 | case)"
)
vec <- function(x) I(as.numeric(x))
# standard deviations in the order of the formula, correlations below the diagonal, column by column
components <- function(vc, groups = c("reader", "case")) {
  vc <- vc[intersect(groups, names(vc))]
  cor <- lapply(vc, function(v) { r <- attr(v, "correlation"); r[lower.tri(r)] })
  list(sd = vec(unlist(lapply(vc, function(v) attr(v, "stddev")))), correlation = vec(unlist(cor)))
}
table_of <- function(x) {
  s <- as.data.frame(x)
  est <- intersect(c("emmean", "estimate", "response", "ratio", "odds.ratio"), names(s))[1]
  low <- intersect(c("lower.CL", "asymp.LCL"), names(s))[1]
  high <- intersect(c("upper.CL", "asymp.UCL"), names(s))[1]
  out <- list(estimate = vec(s[[est]]), se = vec(s$SE), df = vec(ifelse(is.finite(s$df), s$df, -1)))
  if (!is.na(low)) out <- c(out, list(low = vec(s[[low]]), high = vec(s[[high]])))
  if ("p.value" %in% names(s)) out$p <- vec(s$p.value)
  out
}
marginal <- function(m, spec = ~mode) {
  # for glmmTMB emmeans takes residual degrees of freedom, which have no justification; Inf makes them z
  grid <- if (inherits(m, "glmmTMB")) emmeans(m, spec, df = Inf) else emmeans(m, spec)
  pairs <- contrast(grid, "revpairwise")
  one <- function(adjust) table_of(summary(pairs, infer = TRUE, adjust = adjust))
  list(
    means = table_of(grid), none = one("none"), holm = one("holm"), bonferroni = one("bonferroni"),
    fdr_bh = one("BH"), tukey = one("tukey")
  )
}
from_lmer <- function(m) {
  s <- coef(summary(m))
  c(list(beta = vec(s[, 1]), se = vec(s[, 2]), df = vec(s[, 3]), p = vec(s[, 5]), dispersion = sigma(m),
         loglik = as.numeric(logLik(m))), components(VarCorr(m)))
}
from_glmer <- function(m) {
  s <- coef(summary(m))
  c(list(beta = vec(s[, 1]), se = vec(s[, 2]), loglik = as.numeric(logLik(m))), components(VarCorr(m)))
}
from_tmb <- function(m, dispersion = NA) {
  s <- coef(summary(m))$cond
  c(list(beta = vec(s[, 1]), se = vec(s[, 2]), dispersion = dispersion, loglik = as.numeric(logLik(m))),
    components(VarCorr(m)$cond))
}
tight <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-10, optCtrl = list(maxfun = 1e5, rhoend = 1e-9))
tight_lmm <- lmerControl(optimizer = "bobyqa", optCtrl = list(maxfun = 1e5, rhoend = 1e-9))
precise <- glmmTMBControl(optCtrl = list(iter.max = 2000, eval.max = 2000, rel.tol = 1e-10))
formula_of <- function(y, r, fixed = "mode + size") as.formula(paste(y, "~", fixed, "+", r))

fits <- list()
for (r in names(random)) {
  g <- lmer(formula_of("score", random[[r]]), d, control = tight_lmm)
  fits[[paste0("gaussian_", r)]] <- list(lme4 = from_lmer(g), emmeans = marginal(g))
  ml <- lmer(formula_of("score", random[[r]]), d, REML = FALSE, control = tight_lmm)
  fits[[paste0("gaussian_ml_", r)]] <- list(lme4 = from_lmer(ml))
  l <- lmer(formula_of("log(time)", random[[r]]), d, control = tight_lmm)
  fits[[paste0("lognormal_", r)]] <- list(lme4 = from_lmer(l), emmeans = marginal(l))
  for (f in c("bernoulli", "poisson")) {
    y <- c(bernoulli = "correct", poisson = "findings")[[f]]
    fam <- if (f == "bernoulli") binomial() else poisson()
    m <- glmer(formula_of(y, random[[r]]), d, family = fam, control = tight)
    t <- glmmTMB(formula_of(y, random[[r]]), d, family = fam, control = precise)
    fits[[paste0(f, "_", r)]] <- list(lme4 = from_glmer(m), glmmTMB = from_tmb(t), emmeans = marginal(t))
  }
  t <- glmmTMB(formula_of("saccades", random[[r]]), d, family = nbinom2(), control = precise)
  fits[[paste0("negative_binomial_", r)]] <- list(glmmTMB = from_tmb(t, sigma(t)), emmeans = marginal(t))
  t <- glmmTMB(formula_of("duration", random[[r]]), d, family = Gamma("log"), control = precise)
  fits[[paste0("gamma_", r)]] <- list(glmmTMB = from_tmb(t, 1 / sigma(t)^2), emmeans = marginal(t))
}
# an interaction, contrasts within each grade, and counts per minute
i <- lmer(formula_of("log(time)", random[["slope"]], "mode * grade + size"), d, control = tight_lmm)
fits$interaction <- list(lme4 = from_lmer(i), emmeans = marginal(i, ~ mode | grade), main = marginal(i, ~mode))
e <- glmmTMB(saccades ~ mode + size + offset(log(minutes)) + (1 | reader) + (1 | case), d, family = nbinom2(),
             control = precise)
fits$exposure <- list(glmmTMB = from_tmb(e, sigma(e)))

# The handbook page on mixed models: its real data, from R's own copies (lme4::VerbAgg, MASS::epil)
v <- lme4::VerbAgg
v$yes <- as.integer(v$r2 == "Y")
v$mode <- relevel(v$mode, "do")
fixed <- "yes ~ Gender + btype + situ + mode"
odds <- function(m) {
  pair <- function(spec, k) {
    p <- summary(contrast(emmeans(m, spec, df = Inf), "revpairwise"), infer = TRUE, adjust = "none")[k, ]
    list(ratio = vec(exp(c(p$estimate, p$asymp.LCL, p$asymp.UCL))), p = p$p.value)
  }
  list(gender = pair(~Gender, 1), situ = pair(~situ, 1), mode = pair(~mode, 1))
}
verbal <- list(
  none = glm(as.formula(fixed), binomial(), v),
  persons = glmmTMB(as.formula(paste(fixed, "+ (1 | id)")), v, family = binomial()),
  crossed = glmmTMB(as.formula(paste(fixed, "+ (1 | id) + (1 | item)")), v, family = binomial()),
  slopes = glmmTMB(as.formula(paste(fixed, "+ (1 + mode | id) + (1 | item)")), v, family = binomial())
)
kinds <- emmeans(verbal$slopes, ~btype, df = Inf)
joint <- function(grid, adjust) {
  p <- summary(contrast(grid, "revpairwise"), infer = TRUE, adjust = adjust)
  list(pair = as.character(p$contrast), ratio = I(exp(cbind(p$estimate, p$asymp.LCL, p$asymp.UCL))), p = vec(p$p.value))
}
probability <- as.data.frame(summary(kinds, type = "response"))
seizures <- MASS::epil
seizures$visit <- factor(seizures$period)
epilepsy <- list(
  glm = glm(y ~ lbase * trt + lage + V4, poisson(), seizures),
  poisson = glmmTMB(y ~ lbase * trt + lage + V4 + (1 | subject), seizures, family = poisson()),
  negative_binomial = glmmTMB(y ~ lbase * trt + lage + V4 + (1 | subject), seizures, family = nbinom2())
)
rate <- function(m) {
  s <- if (inherits(m, "glm")) coef(summary(m)) else coef(summary(m))$cond
  r <- s[c("trtprogabide", "V4"), ]
  list(ratio = I(exp(cbind(r[, 1], r[, 1] - qnorm(.975) * r[, 2], r[, 1] + qnorm(.975) * r[, 2]))), p = vec(r[, 4]),
       loglik = as.numeric(logLik(m)))
}
visits <- emmeans(glmmTMB(y ~ lbase * trt + lage + visit + (1 | subject), seizures, family = nbinom2()), ~visit, df = Inf)
visits_poisson <- emmeans(glmmTMB(y ~ lbase * trt + lage + visit + (1 | subject), seizures, family = poisson()),
                         ~visit, df = Inf)
page <- list(
  odds = lapply(verbal, odds), spread = components(VarCorr(verbal$slopes)$cond[c("id", "item")], c("id", "item")),
  kinds = list(none = joint(kinds, "none"), tukey = joint(kinds, "tukey"),
               probability = I(as.matrix(probability[, c("prob", "asymp.LCL", "asymp.UCL")]))),
  seizures = lapply(epilepsy, rate),
  visits = list(none = joint(visits, "none"), holm = joint(visits, "holm"), bonferroni = joint(visits, "bonferroni"),
                tukey = joint(visits, "tukey"), fdr_bh = joint(visits, "BH"), poisson = joint(visits_poisson, "none"))
)

versions <- lapply(c(lme4 = "lme4", lmerTest = "lmerTest", glmmTMB = "glmmTMB", emmeans = "emmeans"),
                   function(p) as.character(packageVersion(p)))
write_json(
  list(
    made_by = "tests/reference/mixed_models.R", date = as.character(Sys.Date()),
    versions = c(list(R = R.version.string), versions),
    data = lapply(d, function(x) if (is.factor(x)) as.character(x) else x), fits = fits, page = page
  ),
  "mixed_models.json", digits = 10, auto_unbox = TRUE, na = "null"
)
